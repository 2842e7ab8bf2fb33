// Undo and redo: each step keeps the rectangle that changed, packed by run lengths, and swaps it with
// the mask when it is taken back. Memory is bounded; the oldest steps go first.

import type { Kind, Mask } from './mask'
import type { Rect } from './rect'

interface Step {
  rect: Rect
  /** What the rectangle held on the other side of this step. */
  pixels: Packed
  turn: Turn | null
}

/** The kinds of label before and after a step that made one of another kind. */
export interface Turn {
  from: Kind
  to: Kind
}

export interface Moved {
  /** What to repaint. */
  rect: Rect
  /** The kind that the mask is of again; null where the step changed none. */
  kind: Kind | null
}

/** Bytes as they are, or as runs: value in the upper 8 bits, length in the lower 24. */
export type Packed = Uint8Array | Uint32Array

const LONGEST = 0xffffff

export interface History {
  /** Note what changed inside `rect` since the last note. */
  note(rect: Rect, turn?: Turn | null): void
  /** Put back what `rect` held at the last note: a stroke that was called off. */
  revert(rect: Rect): void
  /** Take the last step back; null where there is none. */
  undo(): Moved | null
  redo(): Moved | null
  /** Forget all steps and take the mask as it is. */
  reset(): void
  readonly canUndo: boolean
  readonly canRedo: boolean
  readonly bytes: number
}

export function makeHistory(mask: Mask, budget = 64 << 20): History {
  // The mask as of the last note: what a stroke overwrites is known only when it ends.
  const noted = mask.data.slice()
  let past: Step[] = []
  let future: Step[] = []
  let bytes = 0

  const size = (step: Step) => step.pixels.byteLength
  const total = (steps: Step[]) => steps.reduce((sum, step) => sum + size(step), 0)

  const swap = (step: Step): Step => {
    const now = pack(cut(mask.data, mask.width, step.rect))
    paste(mask.data, mask.width, step.rect, unpack(step.pixels, area(step.rect)))
    copy(mask.data, noted, mask.width, step.rect)
    bytes += now.byteLength - size(step)
    return { ...step, pixels: now }
  }

  return {
    note(rect, turn = null) {
      const pixels = pack(cut(noted, mask.width, rect))
      copy(mask.data, noted, mask.width, rect)
      bytes += pixels.byteLength - total(future)
      past.push({ rect, pixels, turn })
      future = []
      while (bytes > budget && past.length > 1) bytes -= size(past.shift()!)
    },
    revert(rect) {
      copy(noted, mask.data, mask.width, rect)
    },
    undo() {
      const step = past.pop()
      if (!step) return null
      future.push(swap(step))
      return { rect: step.rect, kind: step.turn?.from ?? null }
    },
    redo() {
      const step = future.pop()
      if (!step) return null
      past.push(swap(step))
      return { rect: step.rect, kind: step.turn?.to ?? null }
    },
    reset() {
      noted.set(mask.data)
      past = []
      future = []
      bytes = 0
    },
    get canUndo() {
      return past.length > 0
    },
    get canRedo() {
      return future.length > 0
    },
    get bytes() {
      return bytes
    },
  }
}

/** Runs where they are shorter than the bytes, which for masks is nearly always. */
export function pack(values: Uint8Array): Packed {
  const limit = values.length >> 2
  const runs = new Uint32Array(limit)
  let count = 0
  for (let start = 0; start < values.length; ) {
    if (count === limit) return values
    let end = start + 1
    while (end < values.length && values[end] === values[start] && end - start < LONGEST) end++
    runs[count++] = values[start] * 0x1000000 + (end - start)
    start = end
  }
  return runs.slice(0, count)
}

export function unpack(packed: Packed, length: number): Uint8Array {
  if (packed instanceof Uint8Array) return packed
  const values = new Uint8Array(length)
  let start = 0
  for (const run of packed) {
    const end = start + (run & LONGEST)
    values.fill(run >>> 24, start, end)
    start = end
  }
  return values
}

const area = (rect: Rect) => (rect.y1 - rect.y0) * (rect.x1 - rect.x0)

function cut(data: Uint8Array, width: number, rect: Rect): Uint8Array {
  const across = rect.x1 - rect.x0
  const values = new Uint8Array(area(rect))
  for (let y = rect.y0; y < rect.y1; y++) {
    const from = y * width + rect.x0
    values.set(data.subarray(from, from + across), (y - rect.y0) * across)
  }
  return values
}

function paste(data: Uint8Array, width: number, rect: Rect, values: Uint8Array): void {
  const across = rect.x1 - rect.x0
  for (let y = rect.y0; y < rect.y1; y++) {
    const from = (y - rect.y0) * across
    data.set(values.subarray(from, from + across), y * width + rect.x0)
  }
}

function copy(from: Uint8Array, to: Uint8Array, width: number, rect: Rect): void {
  for (let y = rect.y0; y < rect.y1; y++) {
    const start = y * width + rect.x0
    to.set(from.subarray(start, start + rect.x1 - rect.x0), start)
  }
}
