// Active time: what a person spends on an item, without the coffee in between.

export interface ActiveClock {
  /** Something was done: a key, a move, a touch. */
  touch(): void
  /** The page is hidden or left: time stops at once and goes on with the next touch. */
  pause(): void
  /** Seconds of activity so far. */
  seconds(): number
}

const IDLE = 20_000

/** Count from `start` seconds; after 20 s without a touch the time stands still. */
export function makeClock(start = 0, now: () => number = () => performance.now()): ActiveClock {
  let total = start * 1000
  let last: number | null = null
  const running = () => (last === null ? 0 : Math.min(Math.max(0, now() - last), IDLE))
  return {
    touch() {
      total += running()
      last = now()
    },
    pause() {
      total += running()
      last = null
    },
    seconds: () => (total + running()) / 1000,
  }
}
