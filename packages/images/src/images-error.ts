/**
 * Something that whoever builds or publishes images can mend: its message is all they need, so the command line shows it alone. Whatever else is thrown is a
 * mistake of the program, of which the place matters.
 */
export class ImagesError extends Error {
  constructor(message: string) {
    super(message);
    this.name = new.target.name;
  }
}
