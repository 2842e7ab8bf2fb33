// @vitest-environment jsdom
import { act, cleanup, renderHook, waitFor } from '@testing-library/react'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { ItemInfo } from '../api'
import { localCodec } from '../editor/codec'
import type { Editor, EditorState, Opened } from '../editor/editor'
import { encodeGrey } from '../editor/png'
import { type Client, type Draft, ServerError } from './client'
import { type AppContext, Context } from './context'
import type { LocalDraft } from './saver/local'
import { useWork } from './useWork'

const drawing = (value: number) => encodeGrey(new Uint8Array(2).fill(value), 1, 2)
const draft = async (sequence: number): Promise<Draft> => ({
  sequence,
  kind: 'mask',
  seconds: sequence,
  png: await drawing(sequence),
})

/** A server, and what is drawn in a tab: the number of the draft whose pixels it has. */
async function openTab(kept: LocalDraft | null = null) {
  const server = { newest: await draft(3), isAway: false, sent: [] as number[] }
  const info = () => {
    const { sequence, kind, seconds } = server.newest
    const size = { height: 1, width: 2 }
    return { ...size, may_label: true, label: null, sequence, draft: { sequence, kind, seconds } }
  }
  const client = {
    item: async () => {
      if (server.isAway) throw new ServerError(0, 'the server does not answer')
      return info() as unknown as ItemInfo
    },
    picture: async (_: string, name: string) =>
      name === 'draft' ? server.newest.png.slice() : drawing(0),
    lease: async () => ({ sequence: server.newest.sequence }),
    release: async () => {},
    saveDraft: async (_: string, { sequence }: Draft) => server.sent.push(sequence),
  } as unknown as Client
  let mask = new Uint8Array(2)
  const editor = {
    open: (opened: Opened) => {
      mask = opened.mask!.slice()
    },
    state: () => ({ kind: 'mask' }) as EditorState,
    get mask() {
      return { height: 1, width: 2, data: mask }
    },
  } as unknown as Editor
  const store = { kept }
  const app = {
    client,
    codec: localCodec,
    drafts: { get: async () => store.kept, put: async () => {}, remove: async () => {} },
    project: { name: 'heart', created: null, classes: [], background: null },
    session: { user: 'me' },
    report: vi.fn(),
  } as unknown as AppContext
  const { result } = renderHook(() => useWork('a', editor), {
    wrapper: ({ children }) => <Context value={app}>{children}</Context>,
  })
  await waitFor(() => expect(result.current.work).not.toBeNull())
  return { server, store, tab: result, drawn: () => mask[0], report: app.report }
}

const posted: { said: string }[] = []
/** Another tab speaks. */
let hear = (_: string) => {}

beforeEach(() => {
  vi.stubGlobal(
    'BroadcastChannel',
    class {
      onmessage: ((event: unknown) => void) | null = null
      constructor() {
        const key = JSON.stringify(['heart', 'me', 'a'])
        hear = (said) => act(() => this.onmessage?.({ data: { said, key, tab: 'other' } }))
      }
      postMessage(message: { said: string }) {
        posted.push(message)
      }
      close() {}
    },
  )
})
afterEach(() => {
  cleanup()
  vi.unstubAllGlobals()
  posted.length = 0
})

describe('going on here', () => {
  it('opens what another tab saved since, and counts on from there', async () => {
    const { server, tab, drawn } = await openTab()
    hear('here')
    expect(tab.current).toMatchObject({ tabs: 'other', isStopped: true })
    server.newest = await draft(5)
    act(() => tab.current.continueHere())
    await waitFor(() => expect(tab.current).toMatchObject({ tabs: 'alone', isStopped: false }))
    expect(drawn()).toBe(5)
    expect(posted.map(({ said }) => said)).toEqual(['open', 'take'])
    act(() => tab.current.changed())
    await act(() => tab.current.work!.saver.flush())
    expect(server.sent).toEqual([6])
  })

  it('opens what another tab kept on this computer and has not sent', async () => {
    const { server, store, tab, drawn } = await openTab()
    hear('here')
    store.kept = { ...(await draft(4)), at: 0 }
    act(() => tab.current.continueHere())
    await waitFor(() => expect(tab.current.isStopped).toBe(false))
    expect(drawn()).toBe(4)
    await waitFor(() => expect(server.sent).toEqual([4]))
  })

  it('waits, and says so, while the newest draft cannot be had', async () => {
    const { server, tab, drawn, report } = await openTab()
    hear('here')
    server.isAway = true
    await act(async () => tab.current.continueHere())
    await waitFor(() => expect(report).toHaveBeenCalledOnce())
    expect(tab.current).toMatchObject({ tabs: 'other', isStopped: true, problem: null })
    server.newest = await draft(5)
    server.isAway = false
    act(() => tab.current.continueHere())
    await waitFor(() => expect(tab.current.isStopped).toBe(false))
    expect(drawn()).toBe(5)
  })
})
