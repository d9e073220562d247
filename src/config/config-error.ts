/** This member cannot be started as it was asked to. The message is for the operator: a sentence that names what to mend. */
export class StartError extends Error {
  override readonly name: string = "StartError";
}

/** The options given cannot be used. Each problem is a sentence that names the option as the operator wrote it. */
export class ConfigError extends StartError {
  override readonly name = "ConfigError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.problems = problems;
  }
}
