/**
 * Things that must end when something else ends: last in, first out, also when opening failed half-way.
 */

export class Disposables implements AsyncDisposable {
  readonly #things: AsyncDisposable[] = []

  use<T extends AsyncDisposable>(thing: T): T {
    this.#things.push(thing)
    return thing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (let thing = this.#things.pop(); thing !== undefined; thing = this.#things.pop()) {
      await thing[Symbol.asyncDispose]()
    }
  }
}
