/** A method of a provider. */
export interface ProviderMethod {
  readonly type: NewableFunction;
  /** `ClassName.methodName`. */
  readonly name: string;
  readonly methodName: string | symbol;
  readonly method: object;
}
