// Accept, skip and flag: what ends the work on an item, and the questions before it.

import { useState } from 'react'
import { type Editor, UNKNOWN } from '../editor/editor'
import { countValues } from '../editor/mask'
import { ServerError } from './client'
import { useApp } from './context'
import { showSeconds } from './format'
import { goTo } from './route'
import type { Work } from './useWork'

export interface Question {
  text: string
  yes: string
  no: string
  run(): void
}

export interface Answers {
  isBusy: boolean
  question: Question | null
  dropQuestion(): void
  accept(): void
  skip(reason: string, isFlag: boolean): void
}

const leave = (next: string | null) =>
  goTo(next === null ? { page: 'queue' } : { page: 'item', id: next })

export function useAnswers(id: string, editor: Editor | null, work: Work | null): Answers {
  const { client, project, notify, report } = useApp()
  const [isBusy, setBusy] = useState(false)
  const [question, setQuestion] = useState<Question | null>(null)

  const busily = async (run: () => Promise<void>) => {
    setBusy(true)
    try {
      await run()
    } catch (error) {
      report(error)
    } finally {
      setBusy(false)
    }
  }

  /** Save the draft, wait for it, and make it the label in place of revision `base`. */
  const send = async (base: number) => {
    if (!work) return
    const last = work.snapshot()
    work.saver.changed(last)
    const sequence = await work.saver.flush()
    const seconds = Math.round(last.seconds * 10) / 10
    try {
      const { next } = await client.answer(id, { kind: last.kind, seconds, sequence, base })
      await work.saver.forget()
      const what = last.kind === 'mask' ? 'Mask' : 'Scribble'
      const end = next === null ? ' · that was the last open item' : ''
      notify({
        text: `${what} saved · ${showSeconds(seconds)}${end}`,
        action: { label: 'Back to it', run: () => goTo({ page: 'item', id }) },
      })
      leave(next)
    } catch (error) {
      if (!(error instanceof ServerError) || error.facts.revision === undefined) throw error
      const { revision, by } = error.facts
      setQuestion({
        text: `${by ?? 'Somebody else'} labelled this item while you worked on it.`,
        yes: 'Replace theirs with mine',
        no: 'Leave theirs',
        run: () => accept(revision, true),
      })
    }
  }

  const accept = (base: number, isSure: boolean) => {
    if (!work || !editor || editor.state().isLocked) return
    const unsure = isSure ? null : doubt(editor, project.background)
    setQuestion(unsure && { ...unsure, run: () => accept(base, true) })
    if (!unsure) void busily(() => send(base))
  }

  const skip = (reason: string, isFlag: boolean) =>
    busily(async () => {
      const { next } = await client.skip(id, reason, isFlag)
      const takeBack = () => void client.unskip(id).then(() => goTo({ page: 'item', id }), report)
      notify({
        text: isFlag ? 'Flagged as a bad image' : 'Skipped',
        action: { label: 'Take back', run: takeBack },
      })
      leave(next)
    })

  return {
    isBusy,
    question,
    dropQuestion: () => setQuestion(null),
    // The label that was shown, not the lease's: another may have come while the picture was loaded.
    accept: () => accept(work?.opening.info.label?.revision ?? 0, false),
    skip: (reason, isFlag) => void skip(reason, isFlag),
  }
}

/** A question before an answer that is probably a slip; null where there is none. */
function doubt(editor: Editor, background: number | null): Omit<Question, 'run'> | null {
  const counts = countValues(editor.mask)
  const named = editor.mask.data.length - counts[UNKNOWN]
  const no = 'Go on drawing'
  if (editor.state().corners > 0) {
    return { text: 'The polygon is not closed.', yes: 'Accept without it', no }
  }
  if (named === 0) {
    return { text: 'Nothing is drawn: every pixel is unknown.', yes: 'Accept it all the same', no }
  }
  if (background !== null && counts[background] === named && editor.state().kind === 'mask') {
    return {
      text: 'Nothing is painted: the whole image would be background.',
      yes: 'There is nothing in it',
      no,
    }
  }
  return null
}
