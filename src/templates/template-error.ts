import { Failure } from '../failure.ts';

/** A template that is not what it claims to be: says where in its bytes, and why. Never quotes biometric values. */
export class TemplateError extends Failure {
  /** Byte offset of the field at fault. */
  readonly offset: number;

  /**
   * @param reason - constant in UPPER_SNAKE_CASE
   * @param offset - byte offset of the field at fault; the template's length where something is missing at its end
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
