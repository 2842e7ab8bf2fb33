// @vitest-environment jsdom
import { act, cleanup, renderHook } from '@testing-library/react'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { ItemInfo } from '../api'
import { localCodec } from '../editor/codec'
import type { Editor, EditorState } from '../editor/editor'
import type { Client } from './client'
import { type AppContext, Context } from './context'
import { useSlices } from './useSlices'

const LAST = 7

const info = (z: number) =>
  ({
    item: `z${z}`,
    z,
    previous: z > 0 ? `z${z - 1}` : null,
    next: z < LAST ? `z${z + 1}` : null,
  }) as ItemInfo

let release: (() => void)[] = []
const fetched = vi.fn()
const report = vi.fn()
const peek = vi.fn()
const client = {
  item: async (id: string) => info(Number(id.slice(1))),
  picture: (id: string) => {
    fetched(id)
    return new Promise((resolve) => release.push(() => resolve(id)))
  },
} as unknown as Client

const editor = {
  peek,
  subscribe: () => () => {},
  state: () => ({ isPeeking: true }) as EditorState,
} as unknown as Editor

function slicesFrom(z: number, other: Partial<Client> = {}) {
  const app = {
    client: { ...client, ...other },
    codec: { ...localCodec, decode: async (id: unknown) => id },
    report,
  } as unknown as AppContext
  const own = info(z)
  return renderHook(() => useSlices(editor, own), {
    wrapper: ({ children }) => <Context.Provider value={app}>{children}</Context.Provider>,
  }).result
}

const settle = () =>
  act(async () => {
    for (let turn = 0; turn < 10; turn++) {
      for (const arrive of release.splice(0)) arrive()
      await new Promise((resolve) => setTimeout(resolve))
    }
  })

beforeEach(() => {
  release = []
})
afterEach(() => {
  cleanup()
  vi.clearAllMocks()
})

describe('the slices above and below', () => {
  it('counts every notch of a fast wheel and fetches only where it stops', async () => {
    const slices = slicesFrom(2)
    act(() => {
      for (let notch = 0; notch < 3; notch++) slices.current.step(1)
    })
    await settle()
    expect(slices.current.offset).toBe(3)
    expect(fetched.mock.calls.map(([id]) => id)).toEqual(['z5', 'z6'])
    expect(peek).toHaveBeenLastCalledWith('z5')
  })

  it('ends at its own slice after a step there and back, however slow the first was', async () => {
    const slices = slicesFrom(2)
    act(() => {
      slices.current.step(1)
      slices.current.step(-1)
    })
    await settle()
    expect(slices.current.offset).toBe(0)
    expect(peek.mock.calls).toEqual([[null]])
  })

  it('stops at the last slice', async () => {
    const slices = slicesFrom(LAST - 1)
    act(() => {
      for (let notch = 0; notch < 3; notch++) slices.current.step(1)
      slices.current.step(-1)
    })
    await settle()
    expect(slices.current.offset).toBe(0)
    act(() => {
      slices.current.step(1)
    })
    await settle()
    expect(slices.current.offset).toBe(1)
  })

  it('says what failed and goes on from the slice in sight', async () => {
    const item = vi.fn(client.item).mockRejectedValueOnce(new Error('away'))
    const slices = slicesFrom(2, { item })
    act(() => {
      slices.current.step(1)
    })
    await settle()
    expect(report).toHaveBeenCalledTimes(1)
    act(() => {
      slices.current.step(1)
    })
    await settle()
    expect(slices.current.offset).toBe(1)
  })
})
