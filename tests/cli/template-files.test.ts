import { once } from 'node:events';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toIncits } from '../../bench/mutations/originals.ts';
import { createPerson } from '../../fixtures/person.ts';
import { readTemplateFile } from '../../src/cli/template-files.ts';
import { readTemplateFolder } from '../../src/cli/template-folders.ts';
import { encodeIncits378 } from '../../src/templates/incits-378-2004.ts';
import { standardOf } from '../../src/templates/minutiae-standard.ts';
import { runService, type RunningService } from '../api/running-service.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../cluster.ts';
import { ridgewatch } from './command.ts';

const person = createPerson(55, 1);
const iso = person.fingerRecord(2, 0);
const incits = encodeIncits378(toIncits(person.fingerImpression(2, 0)));
const INCITS_FIRST_MINUTIA = 30;

function changed(bytes: Uint8Array, at: number, ...values: number[]): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy.set(values, at);
  return copy;
}

describe('a finger record on the command line', () => {
  const folder = temporaryDirectory();
  const file = (name: string, bytes: Uint8Array) => {
    writeFileSync(join(folder, name), bytes);
    return join(folder, name);
  };
  const reference = file('reference.iso', iso);
  const compare = async (bytes: Uint8Array) => {
    const { code, stderr } = await ridgewatch(['compare', file('probe.fmr', bytes), reference, '--json']);
    return { code, ...(JSON.parse(stderr || '{}') as { error?: { reason: string; metadata?: object } }) };
  };

  it('of INCITS is refused with its fault as an INCITS record', async () => {
    const faulty = changed(incits, INCITS_FIRST_MINUTIA + 4, 180);
    expect(await compare(faulty)).toMatchObject({ code: 2, error: { reason: 'ANGLE_INVALID' } });
  });

  it.each([
    ['a length', 8, [1, 2]],
    ['no length', 8, [0, 0]],
    ['an image width of zero', 16, [0, 0]],
    ['no resolution', 20, [0, 0]],
    ['no view', 24, [0]],
    ['a reserved byte', 25, [9]],
    ['an unknown finger', 26, [14]],
    ['an unknown impression type', 27, [5]],
    ['an unknown quality', 28, [200]],
    ['an unknown minutia type', 30, [0xc0]],
    ['a minutia outside', 30, [0x7f, 0xff]],
    ['an angle out of range', 34, [180]],
  ])('is recognised as INCITS despite %s', (_, at, values) => {
    expect(standardOf(changed(incits, at, ...values))).toBe('incits-378-2004');
    const path = file('faulty.fmr', changed(incits, at, ...values));
    expect(readTemplateFile(path, { model: undefined, position: 0 }).format).toBe('incits-378-2004');
  });

  it.each([
    ['a length', 8, [0, 0, 9, 9]],
    ['no length', 8, [0, 0, 0, 0]],
    ['an image height of zero', 16, [0, 0]],
    ['no resolution', 18, [0, 0]],
    ['a reserved byte', 23, [9]],
    ['an unknown finger', 24, [14]],
    ['an unknown quality', 26, [200]],
    ['an angle out of range for INCITS', 32, [255]],
  ])('is recognised as ISO despite %s', (_, at, values) => {
    expect(standardOf(changed(iso, at, ...values))).toBe('iso-19794-2-2005');
  });

  it('with a tolerated defect is compared, with a warning', async () => {
    const padded = Buffer.concat([iso, Buffer.alloc(100)]);
    const { code, stdout, stderr } = await ridgewatch(['compare', file('padded.iso', padded), reference]);
    expect([code, stdout]).toEqual([0, expect.stringContaining('Score')]);
    expect(stderr).toContain(
      `padded.iso: Zeros follow after the end of the record; they are left out (byte ${iso.length}).`,
    );
    const { stdout: json } = await ridgewatch(['compare', join(folder, 'padded.iso'), reference, '--json']);
    expect(JSON.parse(json)).toMatchObject({ warnings: [{ code: 'PADDED', byte_offset: iso.length }] });
  });

  it('of another standard is refused by name', async () => {
    expect(
      await ridgewatch(['compare', file('a.png', Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')), reference]),
    ).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('It is a PNG image.') as string,
    });
    const newer = await ridgewatch(['compare', file('b.fmr', changed(iso, 4, 0x30, 0x33, 0x30)), reference]);
    expect(newer.stderr).toContain("version '030', that of ISO/IEC 19794-2:2011 or ANSI/INCITS 378-2009");
  });
});

describe('a folder of templates', () => {
  const folder = temporaryDirectory();
  const write = (name: string, bytes: Uint8Array = iso) => writeFileSync(join(folder, name), bytes);
  let cluster: TestCluster;
  let running: RunningService;
  /** Opening the socket as a file would fail or block. */
  let socket: Server;

  beforeAll(async () => {
    for (const name of ['anna', 'anna/deeper', 'berta', 'leer', '.git']) mkdirSync(join(folder, name));
    write('anna/2.iso');
    write('anna/7.iso', person.fingerRecord(7, 0));
    write('single.ansi', encodeIncits378(toIncits(createPerson(55, 2).fingerImpression(2, 0))));
    for (const name of ['a.fmd', 'b.dat', 'c.an2', 'd.xyt', 'anna/e.txt', 'noending', '.hidden.iso', 'berta/x.wsq']) {
      write(name);
    }
    write('anna/deeper/2.iso');
    symlinkSync(join(folder, 'nowhere'), join(folder, 'broken.iso'));
    symlinkSync(join(folder, 'loop.iso'), join(folder, 'loop.iso'));
    socket = createServer().listen(join(folder, 'socket.iso'));
    await once(socket, 'listening');
    cluster = await startTestCluster();
    running = await runService(await cluster.createDatabase());
  });
  afterAll(async () => {
    socket.close();
    await running.stop();
    await cluster.stop();
  });

  const passedOver = [
    ['.git', 'hidden'],
    ['.hidden.iso', 'hidden'],
    ['a.fmd', 'another ending'],
    ['anna/deeper', 'a folder in a folder'],
    ['anna/e.txt', 'another ending'],
    ['b.dat', 'another ending'],
    ['berta/x.wsq', 'another ending'],
    ['broken.iso', 'unreadable'],
    ['c.an2', 'another ending'],
    ['d.xyt', 'another ending'],
    ['leer', 'an empty folder'],
    ['loop.iso', 'unreadable'],
    ['noending', 'another ending'],
    ['socket.iso', 'no file'],
  ];

  it('returns every skipped entry with the reason', () => {
    const { subjects, passedOver: found } = readTemplateFolder(folder);
    expect(subjects.map(({ externalId, files }) => [externalId, files.length])).toEqual([
      ['anna', 2],
      ['single', 1],
    ]);
    expect(found.map(({ file, why }) => [file, why]).sort()).toEqual([...passedOver].sort());
  });

  it.skipIf(process.getuid?.() === 0)('returns unreadable files (skipped for root, who can read them)', () => {
    const locked = temporaryDirectory();
    for (const name of ['a.iso', 'b.iso']) writeFileSync(join(locked, name), iso);
    chmodSync(join(locked, 'b.iso'), 0);
    expect(readTemplateFolder(locked).passedOver).toEqual([{ file: 'b.iso', why: 'unreadable' }]);
  });

  it('without templates is refused, with the names of the skipped entries', () => {
    const other = temporaryDirectory();
    writeFileSync(join(other, 'x.fmd'), iso);
    expect(() => readTemplateFolder(other)).toThrow('Skipped: x.fmd (another ending).');
  });

  it('is enrolled, and skipped entries are printed', async () => {
    const env = { RIDGEWATCH_ADDRESS: `127.0.0.1:${running.service.grpcPort}` };
    const enrol = ['enroll', folder, '--contributor', 'agency'];
    const first = await ridgewatch([...enrol, '--json'], env);
    expect(first.code).toBe(0);
    expect(JSON.parse(first.stdout)).toMatchObject({
      enrolled_count: 2,
      passed_over_count: passedOver.length,
      passed_over: expect.arrayContaining([{ file: 'd.xyt', why: 'another ending' }]) as unknown[],
    });
    const { stdout } = await ridgewatch(enrol, env);
    expect(stdout).toContain(`Skipped ${passedOver.length}: `);
    for (const [name] of passedOver) expect(stdout).toContain(`${name} (`);
  });
});
