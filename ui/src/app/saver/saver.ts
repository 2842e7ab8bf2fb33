// No stroke is ever lost: each goes to this computer at once, and to the server soon after, with a
// number that only grows, until the server has acknowledged it.

import type { Kind } from '../../api'
import { type Draft, ServerError } from '../client'
import type { LocalDraft, LocalDrafts } from './local'

/** The mask as it was when a stroke ended; `data` is a copy that the saver may keep. */
export interface Snapshot {
  kind: Kind
  seconds: number
  data: Uint8Array
  height: number
  width: number
}

export type SaveStatus =
  /** Nothing to save, or all of it acknowledged. */
  | 'saved'
  | 'saving'
  /** No answer from the server; tried again by itself. */
  | 'offline'
  /** Another tab or computer saved a newer draft of mine: a person must choose. */
  | 'conflict'
  /** Somebody else works on the item now. */
  | 'taken'
  | 'signed-out'
  /** The server will not have it. */
  | 'refused'

export interface SaveState {
  status: SaveStatus
  /** The newest change, and the newest that the server has. */
  sequence: number
  acknowledged: number
  detail: string | null
  /** False once this computer would not keep a draft: a private window, or a full disk. */
  isKept: boolean
}

export interface SaverOptions {
  key: string
  /** The highest sequence that is known, here or on the server. */
  sequence: number
  local: LocalDrafts
  encode(data: Uint8Array, height: number, width: number): Promise<Uint8Array<ArrayBuffer>>
  send(draft: Draft): Promise<unknown>
  /** Take the lease again; rejects with a 409 where somebody else holds it. */
  renew(): Promise<unknown>
  onState?(state: SaveState): void
  random?(): number
}

export interface Saver {
  state(): SaveState
  /** A stroke ended. */
  changed(snapshot: Snapshot): void
  /** Send a draft that this computer kept from an earlier visit. */
  resume(draft: LocalDraft): void
  /** Send now and wait: the acknowledged sequence, or the reason why there is none. */
  flush(): Promise<number>
  /** Try again at once: the network is back, or somebody signed in. */
  retry(): void
  /** After a conflict: what is here replaces the newer draft on the server. */
  keepMine(): void
  /** The draft has become a label: nothing is left to keep. */
  forget(): Promise<void>
  /** Send what is left, then stop. */
  close(): Promise<void>
}

const DEBOUNCE = 700
const LONGEST_WAIT = 4000
const FIRST_RETRY = 1000
const LONGEST_RETRY = 30_000
const STOPPED: readonly SaveStatus[] = ['conflict', 'taken', 'signed-out', 'refused']

export function makeSaver(options: SaverOptions): Saver {
  const { key, local, encode, send, renew, random = Math.random } = options
  let state: SaveState = {
    status: 'saved',
    sequence: options.sequence,
    acknowledged: options.sequence,
    detail: null,
    isKept: true,
  }
  let unkept: (Snapshot & { sequence: number }) | null = null
  let keeping: Promise<void> | null = null
  let ready: LocalDraft | null = null
  let inFlight: Promise<void> | null = null
  let timer: ReturnType<typeof setTimeout> | undefined
  let waitingSince = 0
  let failures = 0
  let theirs = 0
  let isForgotten = false

  const update = (change: Partial<SaveState>) => {
    state = { ...state, ...change }
    options.onState?.(state)
  }
  const isStopped = () => STOPPED.includes(state.status)
  const isAhead = () => state.sequence > state.acknowledged

  /** Encode and keep the newest change; those that came in between are part of it. */
  const keep = async () => {
    while (unkept) {
      const { sequence, kind, seconds, data, height, width } = unkept
      unkept = null
      let png: Uint8Array<ArrayBuffer>
      try {
        png = await encode(data, height, width)
      } catch (error) {
        update({
          status: 'refused',
          detail: error instanceof Error ? error.message : String(error),
        })
        return
      }
      if (isForgotten) return
      ready = { sequence, kind, seconds, png, at: Date.now() }
      try {
        await local.put(key, ready)
      } catch {
        // The server still gets it, and the page says that this computer does not keep it.
        if (state.isKept) update({ isKept: false })
      }
    }
  }
  const keepSoon = () => {
    keeping ??= keep().finally(() => {
      keeping = null
      schedule()
    })
    return keeping
  }

  const schedule = () => {
    if (!isAhead() || isStopped() || inFlight || isForgotten) return
    clearTimeout(timer)
    if (failures > 0) {
      const wait = Math.min(LONGEST_RETRY, FIRST_RETRY * 2 ** (failures - 1))
      timer = setTimeout(() => void sendNow(), wait * (0.75 + 0.5 * random()))
      return
    }
    if (waitingSince === 0) waitingSince = Date.now()
    const left = Math.max(0, waitingSince + LONGEST_WAIT - Date.now())
    timer = setTimeout(() => void sendNow(), Math.min(DEBOUNCE, left))
  }

  const sendNow = (): Promise<void> => {
    clearTimeout(timer)
    inFlight ??= sendOnce().finally(() => {
      inFlight = null
      schedule()
    })
    return inFlight
  }

  const sendOnce = async () => {
    if (keeping) await keeping
    const draft = ready
    if (!draft || draft.sequence <= state.acknowledged || isForgotten) return
    waitingSince = 0
    if (state.status !== 'offline') update({ status: 'saving' })
    try {
      await sendWithLease(draft)
      failures = 0
      const acknowledged = draft.sequence
      const status = state.sequence > acknowledged ? 'saving' : 'saved'
      update({ acknowledged, status, detail: null })
    } catch (error) {
      fail(error)
    }
  }

  const sendWithLease = async (draft: Draft) => {
    try {
      await send(draft)
    } catch (error) {
      const isLease =
        error instanceof ServerError && error.status === 409 && error.facts.sequence === undefined
      if (!isLease) throw error
      await renew()
      await send(draft)
    }
  }

  const fail = (error: unknown) => {
    if (!(error instanceof ServerError)) {
      update({ status: 'refused', detail: String(error) })
      return
    }
    const detail = error.message
    if (error.isPassing) {
      failures++
      update({ status: 'offline', detail })
    } else if (error.status === 401) update({ status: 'signed-out', detail })
    else if (error.status === 409 && error.facts.sequence !== undefined) {
      theirs = error.facts.sequence
      update({ status: 'conflict', detail })
    } else if (error.status === 409) update({ status: 'taken', detail })
    else update({ status: 'refused', detail })
  }

  const go = () => {
    failures = 0
    update({ status: isAhead() ? 'saving' : 'saved', detail: null })
    void sendNow()
  }

  return {
    state: () => state,
    changed(snapshot) {
      isForgotten = false
      const sequence = state.sequence + 1
      unkept = { ...snapshot, sequence }
      const status = state.status === 'saved' ? 'saving' : state.status
      update({ sequence, status })
      void keepSoon()
    },
    resume(draft) {
      ready = draft
      update({ sequence: Math.max(state.sequence, draft.sequence), status: 'saving' })
      void sendNow()
    },
    async flush() {
      while (isAhead()) {
        if (isStopped()) throw new Error(state.detail ?? 'the draft is not saved')
        const before = failures
        await sendNow()
        if (failures > before) throw new Error('the server does not answer; your work is kept here')
      }
      return state.acknowledged
    },
    retry() {
      if (state.status === 'conflict') return
      if (isAhead()) go()
    },
    keepMine() {
      if (state.status !== 'conflict' || !ready) return
      const sequence = Math.max(theirs, state.sequence) + 1
      if (unkept) unkept = { ...unkept, sequence: sequence + 1 }
      ready = { ...ready, sequence }
      update({ sequence: unkept ? sequence + 1 : sequence })
      void local.put(key, ready).catch(() => update({ isKept: false }))
      go()
    },
    async forget() {
      isForgotten = true
      clearTimeout(timer)
      unkept = null
      ready = null
      await keeping
      await inFlight
      update({ status: 'saved', acknowledged: state.sequence })
      try {
        await local.remove(key)
      } catch {
        update({ isKept: false })
      }
    },
    async close() {
      if (keeping) await keeping
      if (isAhead() && !isStopped()) await sendNow()
      isForgotten = true // no timer goes on; what is not acknowledged stays on this computer
      clearTimeout(timer)
    },
  }
}
