// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Editor, makeEditor, UNKNOWN } from './editor'
import type { Kind } from './mask'

// jsdom has no canvas: what is painted is left out, what is drawn on the mask is not.
vi.mock('./stage', () => ({ makeStage: () => new Proxy({}, { get: () => () => {} }) }))
vi.mock('./sketch', () => ({ makeSketch: () => new Proxy({}, { get: () => () => {} }) }))

const PICTURE = { height: 1, width: 3, channels: 1, bits: 8, data: new Uint8Array(3) } as const
const SCRIBBLE = Uint8Array.of(UNKNOWN, 1, UNKNOWN)
const GROWN = Uint8Array.of(0, 1, 1)

/** What a draft would hold at every change. */
let saved: { kind: Kind; values: number[] }[]
let editor: Editor

const now = () => ({ kind: editor.state().kind, values: [...editor.mask.data] })

beforeEach(() => {
  vi.stubGlobal(
    'ResizeObserver',
    class {
      observe() {}
      disconnect() {}
    },
  )
  saved = []
  editor = makeEditor(document.body, { onChange: () => saved.push(now()) })
  editor.open({
    picture: PICTURE,
    window: { low: 0, high: 255 },
    kind: 'scribble',
    mask: SCRIBBLE,
    colours: new Map([[1, '#ff0000']]),
    background: 0,
  })
  editor.set({ isLocked: false })
})
afterEach(() => {
  editor.close()
  vi.unstubAllGlobals()
})

describe('replace', () => {
  it('changes the kind with the pixels, also in drafts and when taken back', () => {
    const [scribble, grown] = [
      { kind: 'scribble', values: [...SCRIBBLE] },
      { kind: 'mask', values: [...GROWN] },
    ]
    editor.replace(GROWN, 'mask')
    expect(now()).toEqual(grown)
    expect(editor.state().erased).toBe(0)
    editor.act('undo')
    expect(now()).toEqual(scribble)
    expect(editor.state().erased).toBe(UNKNOWN)
    editor.act('redo')
    expect(now()).toEqual(grown)
    expect(saved).toEqual([grown, scribble, grown])
  })

  it('leaves the kind that somebody chose where it made no other', () => {
    editor.replace(GROWN, 'scribble')
    editor.set({ kind: 'mask' })
    editor.act('undo')
    expect(now()).toEqual({ kind: 'mask', values: [...SCRIBBLE] })
  })

  it('changes neither while another slice is looked at', () => {
    editor.peek(PICTURE)
    editor.replace(GROWN, 'mask')
    expect(now()).toEqual({ kind: 'scribble', values: [...SCRIBBLE] })
    expect(saved).toEqual([])
  })
})
