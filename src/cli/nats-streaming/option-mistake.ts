/** What is wrong with the options of a server, in words for who wrote them. */
export class OptionMistake extends Error {
  constructor(what: string, options?: ErrorOptions) {
    super(what, options)
    this.name = 'OptionMistake'
  }
}
