import { describe, expect, it } from 'vitest'
import { makeHistory, pack, unpack } from './history'
import { blankMask, drawSegment, fillPolygon } from './mask'

describe('history', () => {
  it('goes back to the start and forth to the end, state by state', () => {
    const mask = blankMask(60, 50, 255)
    const history = makeHistory(mask)
    const states = [mask.data.slice()]
    for (let i = 0; i < 20; i++) {
      const dirty =
        i % 3 === 0
          ? fillPolygon(
              mask,
              [
                { y: i, x: 2 },
                { y: 40, x: 40 },
                { y: 3, x: 45 - i },
              ],
              i % 5,
            )
          : drawSegment(mask, { y: i * 2, x: i }, { y: 50 - i, x: 30 }, 7, i % 5)
      history.note(dirty!)
      states.push(mask.data.slice())
    }
    for (let i = 19; i >= 0; i--) {
      expect(history.undo()).not.toBeNull()
      expect(mask.data).toEqual(states[i])
    }
    expect(history.undo()).toBeNull()
    for (let i = 1; i <= 20; i++) {
      expect(history.redo()).not.toBeNull()
      expect(mask.data).toEqual(states[i])
    }
    expect(history.redo()).toBeNull()
  })

  it('forgets what was undone once something new is drawn', () => {
    const mask = blankMask(10, 10, 0)
    const history = makeHistory(mask)
    const rect = { y0: 0, x0: 0, y1: 10, x1: 10 }
    mask.data.fill(1)
    history.note(rect)
    history.undo()
    mask.data.fill(2)
    history.note(rect)
    expect(history.canRedo).toBe(false)
    history.undo()
    expect(mask.data[0]).toBe(0)
  })

  it('keeps within its budget, the newest steps first, and counts its bytes', () => {
    const mask = blankMask(64, 64, 0)
    const history = makeHistory(mask, 20_000)
    const rect = { y0: 0, x0: 0, y1: 64, x1: 64 }
    for (let step = 1; step <= 30; step++) {
      // Noise, so that runs do not help: 4096 bytes a step.
      mask.data.forEach((_, i) => {
        mask.data[i] = (i * 7 + step * 13 + (i >> 3)) % 251
      })
      history.note(rect)
      expect(history.bytes).toBeLessThanOrEqual(20_000)
    }
    let steps = 0
    while (history.undo()) steps++
    expect(steps).toBe(4)
    while (history.redo());
    expect(history.bytes).toBe(4 * 4096)
  })

  it('takes the kind of label back and forth with the step that turned it', () => {
    const mask = blankMask(2, 2, 255)
    const history = makeHistory(mask)
    const rect = { y0: 0, x0: 0, y1: 2, x1: 2 }
    history.note(rect)
    history.note(rect, { from: 'scribble', to: 'mask' })
    history.note(rect)
    expect(history.undo()?.kind).toBeNull()
    expect(history.undo()?.kind).toBe('scribble')
    expect(history.undo()?.kind).toBeNull()
    expect(history.redo()?.kind).toBeNull()
    expect(history.redo()?.kind).toBe('mask')
    expect(history.redo()?.kind).toBeNull()
  })

  it('puts a stroke back that was called off', () => {
    const mask = blankMask(20, 20, 7)
    const history = makeHistory(mask)
    const dirty = drawSegment(mask, { y: 3, x: 3 }, { y: 15, x: 15 }, 5, 1)
    history.revert(dirty!)
    expect(mask.data.every((value) => value === 7)).toBe(true)
    expect(history.canUndo).toBe(false)
  })
})

describe('pack', () => {
  it('gives back what it took, as runs or as bytes', () => {
    const flat = new Uint8Array(1000).fill(255)
    flat.fill(3, 100, 200)
    expect(pack(flat).byteLength).toBe(12)
    expect(unpack(pack(flat), 1000)).toEqual(flat)
    const noise = Uint8Array.from({ length: 1000 }, (_, i) => (i * 37) % 256)
    expect(unpack(pack(noise), 1000)).toEqual(noise)
    expect(unpack(pack(new Uint8Array(0)), 0)).toEqual(new Uint8Array(0))
    const long = new Uint8Array(0xffffff + 10).fill(200)
    expect(pack(long).byteLength).toBe(8)
    expect(unpack(pack(long), long.length).every((value) => value === 200)).toBe(true)
  })
})
