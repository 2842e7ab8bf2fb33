import { describe, expect, it } from 'vitest'
import { makeClock } from './clock'

function makeTime() {
  let at = 5000
  return { now: () => at, pass: (seconds: number) => (at += seconds * 1000) }
}

describe('active time', () => {
  it('starts with the first touch and goes on from what was spent before', () => {
    const time = makeTime()
    const clock = makeClock(30, time.now)
    time.pass(100)
    expect(clock.seconds()).toBe(30)
    clock.touch()
    time.pass(5)
    expect(clock.seconds()).toBe(35)
  })

  it('stands still twenty seconds after the last touch', () => {
    const time = makeTime()
    const clock = makeClock(0, time.now)
    clock.touch()
    time.pass(19)
    clock.touch()
    time.pass(3600)
    expect(clock.seconds()).toBe(39)
    clock.touch()
    time.pass(1)
    expect(clock.seconds()).toBe(40)
  })

  it('stops at once when the page is hidden, until the next touch', () => {
    const time = makeTime()
    const clock = makeClock(0, time.now)
    clock.touch()
    time.pass(3)
    clock.pause()
    time.pass(10)
    clock.pause()
    expect(clock.seconds()).toBe(3)
    clock.touch()
    time.pass(2)
    expect(clock.seconds()).toBe(5)
  })

  it('never runs backwards', () => {
    let at = 1000
    const clock = makeClock(0, () => at)
    clock.touch()
    at = 0
    expect(clock.seconds()).toBe(0)
  })
})
