// @vitest-environment jsdom
import { act, cleanup, renderHook } from '@testing-library/react'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Answer, ItemInfo } from '../api'
import type { Editor, EditorState } from '../editor/editor'
import { type Client, ServerError } from './client'
import { type AppContext, Context } from './context'
import type { Snapshot } from './saver/saver'
import { useAnswers } from './useAnswers'
import type { Work } from './useWork'

const ANNAS = { kind: 'mask', by: 'anna', revision: 3, seconds: 1 } as const

/** A server whose newest label is Anna's, and whose lease says so; `shown` is what the page saw. */
function answersAfter(shown: ItemInfo['label']) {
  const answer = vi.fn(async (_: string, { base }: Answer) => {
    if (base !== ANNAS.revision) throw new ServerError(409, 'overtaken', { ...ANNAS })
    return { revision: 4, next: null }
  })
  const app = {
    client: { answer } as unknown as Client,
    project: { background: 0 },
    notify: vi.fn(),
    report: vi.fn(),
  } as unknown as AppContext
  const editor = {
    mask: { height: 1, width: 2, data: Uint8Array.of(0, 1) },
    state: () => ({ isLocked: false, corners: 0, kind: 'mask' }) as EditorState,
  } as unknown as Editor
  const work = {
    opening: { info: { label: shown }, lease: { revision: ANNAS.revision } },
    snapshot: () => ({ kind: 'mask', seconds: 1 }) as Snapshot,
    saver: { changed: () => {}, flush: async () => 1, forget: async () => {} },
  } as unknown as Work
  const { result } = renderHook(() => useAnswers('a', editor, work), {
    wrapper: ({ children }) => <Context value={app}>{children}</Context>,
  })
  return { answers: result, answer }
}

afterEach(cleanup)

describe('an answer', () => {
  it('takes the place of the label that was shown', async () => {
    const { answers, answer } = answersAfter(ANNAS)
    await act(async () => answers.current.accept())
    expect(answers.current.question).toBeNull()
    expect(answer.mock.calls.map(([, { base }]) => base)).toEqual([ANNAS.revision])
  })

  it('never takes the place of one that came while the item was loaded, unless told', async () => {
    const { answers, answer } = answersAfter(null)
    await act(async () => answers.current.accept())
    expect(answers.current.question?.text).toContain('anna labelled this item')
    await act(async () => answers.current.question?.run())
    expect(answers.current.question).toBeNull()
    expect(answer.mock.calls.map(([, { base }]) => base)).toEqual([0, ANNAS.revision])
  })
})
