/** Files of certificates as a service reads them, replaced as operators and orchestrators do it. */
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryDirectory } from '../cluster.ts';

export class CertificateFolder {
  readonly path = temporaryDirectory();
  #links = 0;

  of(name: string): string {
    return join(this.path, name);
  }

  /** Replaces a file at once, by renaming another. */
  put(name: string, content: string): void {
    writeFileSync(this.of(`${name}.new`), content);
    renameSync(this.of(`${name}.new`), this.of(name));
  }

  /** As Kubernetes does it: the files are links into a folder, reached by a link that is switched. */
  switchTo(files: Readonly<Record<string, string>>): void {
    const [folder, link] = [`..${this.#links}`, this.of('..data')];
    mkdirSync(this.of(folder));
    for (const [name, content] of Object.entries(files)) writeFileSync(this.of(join(folder, name)), content);
    symlinkSync(folder, `${link}_tmp`);
    renameSync(`${link}_tmp`, link);
    if (this.#links++ > 0) return;
    for (const name of Object.keys(files)) symlinkSync(join('..data', name), this.of(name));
  }

  remove(name: string): void {
    rmSync(this.of(name));
  }
}
