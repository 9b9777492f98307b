/** Names of unsupported formats, for errors that name the data sent. */

/** First bytes of other formats. */
const STARTS: readonly (readonly [string, string])[] = [
  ['FMC\0', 'a finger minutiae record in card format'],
  ['FIR\0', 'a finger image record (ISO/IEC 19794-4, ANSI/INCITS 381)'],
  ['FAC\0', 'a face image record (ISO/IEC 19794-5, ANSI/INCITS 385)'],
  ['IIR\0', 'an iris image record (ISO/IEC 19794-6)'],
  ['Rk1S', 'a finger minutiae record in base64: it has to be decoded first'],
  ['464d52', 'a finger minutiae record in hexadecimal digits: they have to be decoded first'],
  ['464D52', 'a finger minutiae record in hexadecimal digits: they have to be decoded first'],
  ['1.001:', 'an ANSI/NIST-ITL transaction'],
  ['1.01:', 'an ANSI/NIST-ITL transaction'],
  ['\x89PNG', 'a PNG image'],
  ['\xff\xd8\xff', 'a JPEG image'],
  ['\xff\xa0\xff', 'a WSQ image'],
  ['\xff\x4f\xff\x51', 'a JPEG 2000 image'],
  ['\0\0\0\x0cjP', 'a JPEG 2000 image'],
  ['BM', 'a BMP image'],
  ['%PDF', 'a PDF document'],
  ['PK\x03\x04', 'a ZIP archive'],
  ['\x1f\x8b', 'data compressed with gzip'],
  ['\x7f\x2e', "a card's biometric data template"],
  ['\x7f\x60', "a card's biometric information template"],
  ['<', 'XML'],
  ['\xef\xbb\xbf<', 'XML'],
  ['{', 'JSON'],
];

/** The format of data that are no finger minutiae record; undefined where the first bytes do not identify it. */
export function nameOfData(data: Uint8Array): string | undefined {
  const start = Buffer.from(data.subarray(0, 16)).toString('latin1');
  return STARTS.find(([prefix]) => start.startsWith(prefix))?.[1];
}

const VERSIONS: Partial<Record<string, string>> = {
  '030\0': 'ISO/IEC 19794-2:2011 or ANSI/INCITS 378-2009',
  ' 30\0': 'ISO/IEC 19794-2:2011 or ANSI/INCITS 378-2009',
  '035\0': 'ANSI/INCITS 378-2009 as amended',
  '010\0': 'a draft of the standards',
  ' 10\0': 'a draft of the standards',
};

/** The error for another record version. It quotes nothing of the record except a known version. */
export function refusalOfVersion(data: Uint8Array): string {
  const version = Buffer.from(data.subarray(4, 8)).toString('latin1');
  const name = VERSIONS[version];
  if (name === undefined) return "The version of the record is not ' 20'";
  return `The record is of version '${version.slice(0, 3)}', that of ${name}, which is not read yet; ' 20' is`;
}
