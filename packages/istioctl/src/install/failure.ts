/** Input of the operator's commands that cannot be used: the message says where it is wrong and what is expected. */
export class OperatorError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'OperatorError';
  }
}
