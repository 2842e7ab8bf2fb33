// One open item: its lease, its saver, its clock and its place among the tabs, for as long as it is
// on the screen.

import { useEffect, useRef, useState } from 'react'
import type { Editor } from '../editor/editor'
import { ServerError } from './client'
import { useApp } from './context'
import { sentence } from './format'
import { preferences } from './preferences'
import { type ActiveClock, makeClock } from './saver/clock'
import { draftKey } from './saver/local'
import { type Presence, watchTabs } from './saver/presence'
import { makeSaver, type Saver, type SaveState, type Snapshot } from './saver/saver'
import { type Opening, openItem, readMask } from './work'

export interface Work {
  opening: Opening
  saver: Saver
  clock: ActiveClock
  presence: Presence
  snapshot(): Snapshot
  /** Stop other tabs and open the newest draft, which may be theirs, before this one goes on. */
  goOn(): Promise<void>
}

export interface WorkState {
  work: Work | null
  problem: string | null
  save: SaveState | null
  /** Other tabs: this one was told of another, or was stopped by it. */
  tabs: 'alone' | 'other' | 'taken'
  /** Somebody else holds the lease, or the item is only for looking. */
  obstacle: string | null
  /** Nothing may be drawn. */
  isStopped: boolean
  continueHere(): void
  /** The stroke is over. */
  changed(): void
}

const RENEW = 4 * 60_000
const ACTIVITY = ['pointerdown', 'pointermove', 'keydown', 'wheel'] as const

export function useWork(id: string, editor: Editor | null): WorkState {
  const { client, codec, drafts, project, session, report } = useApp()
  const [work, setWork] = useState<Work | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  const [save, setSave] = useState<SaveState | null>(null)
  const [tabs, setTabs] = useState<WorkState['tabs']>('alone')
  const [obstacle, setObstacle] = useState<string | null>(null)
  const current = useRef<Work | null>(null)

  useEffect(() => {
    if (!editor) return
    const stop = new AbortController()
    /** Ends when the item is left, or opened once more. */
    let visit = new AbortController()
    const key = draftKey(project, session.user, id)
    const colours = new Map(project.classes.map(({ number, colour }) => [number, colour]))
    const means = { client, codec, drafts }

    /** Open the item; the other tabs know of this one already where it had been open before. */
    const begin = async (known: Presence | null) => {
      const opening = await openItem(id, key, preferences().startFrom, means)
      if (stop.signal.aborted) {
        if (opening.lease) await client.release(id)
        return
      }
      visit.abort()
      visit = new AbortController()
      const { signal } = visit
      const { info, picture, start } = opening
      editor.open({
        picture,
        window: info.window,
        kind: start.kind,
        mask: start.mask,
        colours,
        background: project.background,
      })
      const clock = makeClock(start.seconds)
      const saver = makeSaver({
        key,
        sequence: Math.max(info.sequence, opening.other?.sequence ?? 0),
        local: drafts,
        encode: codec.encode,
        send: (draft) => client.saveDraft(id, draft),
        renew: () => client.lease(id),
        onState: (state) => {
          if (!signal.aborted) setSave(state)
          if (state.status === 'signed-out') report(new ServerError(401, 'sign in again'))
        },
      })
      const events = { onOther: () => setTabs('other'), onTaken: () => setTabs('taken') }
      const presence = known ?? watchTabs(key, events)
      const snapshot = (): Snapshot => ({
        kind: editor.state().kind,
        seconds: clock.seconds(),
        data: editor.mask.data.slice(),
        height: info.height,
        width: info.width,
      })
      const goOn = async () => {
        presence.take()
        await saver.close()
        await begin(presence)
      }
      const next = { opening, saver, clock, presence, snapshot, goOn }
      current.current = next
      setSave(saver.state())
      setObstacle(opening.obstacle)
      setWork(next)
      setTabs((was) => (was === 'other' ? 'alone' : was))
      if (start.unsent && opening.lease) saver.resume(start.unsent)
      watchPage(next, signal)
      if (info.prediction) {
        const png = await client.picture(id, 'prediction', stop.signal)
        editor.setPrediction(await readMask(png, info, codec))
      }
      if (info.uncertainty) {
        const png = await client.picture(id, 'uncertainty', stop.signal)
        editor.setUncertainty(await readMask(png, info, codec))
      }
    }

    const watchPage = ({ clock, saver, opening }: Work, signal: AbortSignal) => {
      for (const name of ACTIVITY) {
        window.addEventListener(name, () => clock.touch(), { signal, passive: true })
      }
      document.addEventListener(
        'visibilitychange',
        () => {
          if (document.hidden) clock.pause()
        },
        { signal },
      )
      window.addEventListener('online', () => saver.retry(), { signal })
      window.addEventListener('fewmasks:signed-in', () => saver.retry(), { signal })
      window.addEventListener(
        'beforeunload',
        (event) => {
          const { sequence, acknowledged, isKept } = saver.state()
          if (sequence > acknowledged && !isKept) event.preventDefault()
        },
        { signal },
      )
      // A closed tab gives the item back at once instead of after ten minutes; the draft stays.
      window.addEventListener('pagehide', () => void client.release(id).catch(() => {}), { signal })
      if (!opening.lease) return
      const timer = setInterval(() => {
        if (document.hidden) return
        client.lease(id).catch((error) => {
          if (error instanceof ServerError && error.status === 409) setObstacle(sentence(error))
        })
      }, RENEW)
      signal.addEventListener('abort', () => clearInterval(timer))
    }

    begin(null).catch((error) => {
      if (stop.signal.aborted) return
      report(error)
      setProblem(sentence(error))
    })
    return () => {
      stop.abort()
      visit.abort()
      const left = current.current
      current.current = null
      setWork(null)
      if (!left) return
      left.presence.close()
      void left.saver
        .close()
        .then(() => (left.opening.lease ? client.release(id) : null))
        .catch(() => {}) // the lease ends by itself
    }
  }, [client, codec, drafts, editor, id, project, report, session.user])

  const isRefused =
    save?.status === 'conflict' || save?.status === 'taken' || save?.status === 'refused'
  return {
    work,
    problem,
    save,
    tabs,
    obstacle,
    isStopped: !work || obstacle !== null || tabs !== 'alone' || isRefused,
    continueHere() {
      void work?.goOn().catch(report)
    },
    changed() {
      const now = current.current
      now?.saver.changed(now.snapshot())
    },
  }
}
