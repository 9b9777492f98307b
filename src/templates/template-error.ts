import { Failure } from '../failure.ts';

/** An invalid template: states the byte offset and the reason. Never quotes biometric values. */
export class TemplateError extends Failure {
  /** Byte offset of the field at fault. */
  readonly offset: number;

  /**
   * @param reason - constant in UPPER_SNAKE_CASE
   * @param offset - byte offset of the field at fault; the template's length for missing bytes at its end
   */
  constructor(reason: string, offset: number, message: string) {
    super('invalid-argument', reason, `${message} (byte ${offset})`, {
      field: 'data',
      metadata: { byte_offset: String(offset) },
    });
    this.name = 'TemplateError';
    this.offset = offset;
  }
}
