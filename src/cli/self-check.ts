// Counts what was as it should be, and keeps what was not.

/** The expectations of a run. */
export class SelfCheck {
  #passed = 0;
  readonly #failures: string[] = [];

  /** Notes whether something was as it should be; `problem` says what was wrong if it was not. */
  expect(held: boolean, problem: string): void {
    if (held) this.#passed++;
    else this.#failures.push(problem);
  }

  get passed(): number {
    return this.#passed;
  }

  get failures(): readonly string[] {
    return this.#failures;
  }
}
