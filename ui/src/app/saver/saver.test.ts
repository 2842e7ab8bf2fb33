import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Draft, ServerError } from '../client'
import type { LocalDraft, LocalDrafts } from './local'
import { makeSaver, type SaverOptions, type Snapshot } from './saver'

/** A server that keeps the draft with the highest sequence, and fails on request. */
function makeServer(sequence = 0) {
  const failures: Error[] = []
  const server = {
    sequence,
    draft: null as Draft | null,
    received: [] as number[],
    renewals: 0,
    failures,
    fail: (error: Error, times = 1) => {
      for (let i = 0; i < times; i++) failures.push(error)
    },
    send: async (draft: Draft) => {
      await sleep(50)
      const failure = failures.shift()
      if (failure) throw failure
      if (draft.sequence <= server.sequence) {
        throw new ServerError(409, 'there is a newer draft', { sequence: server.sequence })
      }
      server.sequence = draft.sequence
      server.draft = draft
      server.received.push(draft.sequence)
    },
    renew: async () => {
      server.renewals++
    },
  }
  return server
}

function makeLocal() {
  const kept = new Map<string, LocalDraft>()
  const local: LocalDrafts & { kept: typeof kept } = {
    kept,
    get: async (key) => kept.get(key) ?? null,
    put: async (key, draft) => {
      kept.set(key, draft)
    },
    remove: async (key) => {
      kept.delete(key)
    },
  }
  return local
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const offline = () => new ServerError(0, 'the server does not answer')

const snapshot = (value: number): Snapshot => ({
  kind: 'mask',
  seconds: value,
  data: Uint8Array.of(value),
  height: 1,
  width: 1,
})

function setUp(change: Partial<SaverOptions> = {}, sequence = 0) {
  const server = makeServer(sequence)
  const local = makeLocal()
  const saver = makeSaver({
    key: 'k',
    sequence,
    local,
    encode: async (data) => {
      await sleep(10)
      return Uint8Array.from(data)
    },
    send: server.send,
    renew: server.renew,
    random: () => 0.5,
    ...change,
  })
  return { server, local, saver }
}

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

describe('saver', () => {
  it('keeps a stroke here at once and sends it a little later', async () => {
    const { server, local, saver } = setUp()
    saver.changed(snapshot(1))
    expect(saver.state()).toMatchObject({ status: 'saving', sequence: 1, acknowledged: 0 })
    await vi.advanceTimersByTimeAsync(15)
    expect(local.kept.get('k')).toMatchObject({ sequence: 1, seconds: 1 })
    expect(server.draft).toBeNull()
    await vi.advanceTimersByTimeAsync(800)
    expect(server.draft?.png).toEqual(Uint8Array.of(1))
    expect(saver.state()).toMatchObject({ status: 'saved', acknowledged: 1 })
  })

  it('sends the newest of many strokes, yet never waits longer than four seconds', async () => {
    const { server, saver } = setUp()
    for (let i = 1; i <= 30; i++) {
      saver.changed(snapshot(i))
      await vi.advanceTimersByTimeAsync(300)
    }
    expect(server.received.length).toBeGreaterThanOrEqual(2)
    expect(server.received.length).toBeLessThanOrEqual(4)
    await vi.advanceTimersByTimeAsync(2000)
    expect(server.draft).toMatchObject({ sequence: 30, seconds: 30 })
    expect(server.received).toEqual([...server.received].sort((a, b) => a - b))
  })

  it('goes on from the sequence that the server knows', async () => {
    const { server, saver } = setUp({}, 41)
    saver.changed(snapshot(1))
    await vi.advanceTimersByTimeAsync(1000)
    expect(server.received).toEqual([42])
  })

  it('takes an acknowledgement for the stroke that was sent, not for one drawn meanwhile', async () => {
    const { server, saver } = setUp()
    saver.changed(snapshot(1))
    await vi.advanceTimersByTimeAsync(740) // the first is under way for another 20 ms
    saver.changed(snapshot(2))
    await vi.advanceTimersByTimeAsync(30)
    expect(saver.state()).toMatchObject({ status: 'saving', sequence: 2, acknowledged: 1 })
    await vi.advanceTimersByTimeAsync(1000)
    expect(server.draft?.png).toEqual(Uint8Array.of(2))
  })

  it('never has two requests under way', async () => {
    let running = 0
    let most = 0
    const { saver } = setUp({
      send: async () => {
        most = Math.max(most, ++running)
        await sleep(1500)
        running--
      },
    })
    for (let i = 1; i <= 20; i++) {
      saver.changed(snapshot(i))
      await vi.advanceTimersByTimeAsync(400)
    }
    await vi.advanceTimersByTimeAsync(10_000)
    expect(most).toBe(1)
    expect(saver.state().acknowledged).toBe(20)
  })

  it('tries again with growing pauses while the server is away, and says so', async () => {
    const times: number[] = []
    const server = makeServer()
    server.fail(offline(), 5)
    const { local, saver } = setUp({
      send: (draft) => {
        times.push(Date.now())
        return server.send(draft)
      },
    })
    saver.changed(snapshot(7))
    await vi.advanceTimersByTimeAsync(3000)
    expect(saver.state().status).toBe('offline')
    expect(local.kept.get('k')?.sequence).toBe(1)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(saver.state()).toMatchObject({ status: 'saved', acknowledged: 1 })
    const gaps = times.slice(1).map((time, i) => time - times[i])
    expect(gaps).toHaveLength(5)
    expect(gaps).toEqual([...gaps].sort((a, b) => a - b))
    expect(gaps[0]).toBeGreaterThanOrEqual(1000)
  })

  it('says that a mask cannot be written as a picture, and does not hang', async () => {
    const { saver } = setUp({
      encode: async () => {
        throw new Error('out of memory')
      },
    })
    saver.changed(snapshot(1))
    const refused = expect(saver.flush()).rejects.toThrow('out of memory')
    await vi.advanceTimersByTimeAsync(100)
    await refused
    expect(saver.state().status).toBe('refused')
  })

  it('sends at once when the network is back', async () => {
    const { server, saver } = setUp()
    server.fail(offline(), 6)
    saver.changed(snapshot(1))
    await vi.advanceTimersByTimeAsync(20_000)
    server.failures.length = 0
    saver.retry()
    await vi.advanceTimersByTimeAsync(60)
    expect(server.sequence).toBe(1)
  })

  it('takes an acknowledgement that was lost as what it is: nothing', async () => {
    const { server, saver } = setUp({
      send: async (draft) => {
        // The server keeps it and answers a retry with 200, as the contract says.
        if (server.sequence === draft.sequence) return
        server.sequence = draft.sequence
        throw offline()
      },
    })
    saver.changed(snapshot(1))
    await vi.advanceTimersByTimeAsync(5000)
    expect(saver.state()).toMatchObject({ status: 'saved', acknowledged: 1 })
  })

  it('takes an expired lease again and sends once more', async () => {
    const { server, saver } = setUp()
    server.fail(new ServerError(409, 'the lease has run out', { by: null }))
    saver.changed(snapshot(1))
    await vi.advanceTimersByTimeAsync(1000)
    expect(server.renewals).toBe(1)
    expect(saver.state()).toMatchObject({ status: 'saved', acknowledged: 1 })
  })

  it('stops when somebody else has the item, and keeps the work here', async () => {
    const { server, local, saver } = setUp({
      renew: async () => {
        throw new ServerError(409, 'anna is labelling it', { by: 'anna' })
      },
    })
    server.fail(new ServerError(409, 'the lease has run out', { by: 'anna' }), 99)
    saver.changed(snapshot(3))
    await vi.advanceTimersByTimeAsync(100_000)
    expect(saver.state()).toMatchObject({ status: 'taken', detail: 'anna is labelling it' })
    expect(local.kept.get('k')?.png).toEqual(Uint8Array.of(3))
    await expect(saver.flush()).rejects.toThrow('anna')
  })

  it('never overwrites a newer draft by itself, and does when told', async () => {
    const { server, saver } = setUp()
    server.sequence = 5
    saver.changed(snapshot(1))
    await vi.advanceTimersByTimeAsync(60_000)
    expect(saver.state().status).toBe('conflict')
    saver.changed(snapshot(2))
    saver.retry()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(server.sequence).toBe(5)
    saver.keepMine()
    await vi.advanceTimersByTimeAsync(3000)
    expect(server.draft?.png).toEqual(Uint8Array.of(2))
    expect(saver.state().status).toBe('saved')
    expect(saver.state().acknowledged).toBe(server.sequence)
    expect(server.sequence).toBeGreaterThan(5)
  })

  it('waits for a new sign-in', async () => {
    const { server, saver } = setUp()
    server.fail(new ServerError(401, 'sign in'))
    saver.changed(snapshot(1))
    await vi.advanceTimersByTimeAsync(60_000)
    expect(saver.state().status).toBe('signed-out')
    expect(server.received).toEqual([])
    saver.retry()
    await vi.advanceTimersByTimeAsync(100)
    expect(server.received).toEqual([1])
  })

  it('flushes what came in until then, without the pause', async () => {
    const { server, saver } = setUp()
    saver.changed(snapshot(1))
    saver.changed(snapshot(2))
    const flushed = saver.flush()
    await vi.advanceTimersByTimeAsync(200)
    expect(await flushed).toBe(2)
    expect(server.received.at(-1)).toBe(2)
  })

  it('says that a flush did not reach the server, and goes on trying', async () => {
    const { server, saver } = setUp()
    server.fail(offline())
    saver.changed(snapshot(1))
    const flushed = saver.flush()
    const refused = expect(flushed).rejects.toThrow('kept here')
    await vi.advanceTimersByTimeAsync(100)
    await refused
    await vi.advanceTimersByTimeAsync(5000)
    expect(server.sequence).toBe(1)
  })

  it('resumes a draft of an earlier visit under its own number', async () => {
    const { server, saver } = setUp({}, 3)
    saver.resume({ ...snapshot(9), sequence: 4, png: Uint8Array.of(9), at: 0 })
    await vi.advanceTimersByTimeAsync(100)
    expect(server.received).toEqual([4])
    saver.changed(snapshot(10))
    await vi.advanceTimersByTimeAsync(1000)
    expect(server.received).toEqual([4, 5])
  })

  it('says when this computer keeps nothing, and sends all the same', async () => {
    const { server, saver } = setUp({
      local: {
        ...makeLocal(),
        put: async () => {
          throw new DOMException('full', 'QuotaExceededError')
        },
      },
    })
    saver.changed(snapshot(1))
    await vi.advanceTimersByTimeAsync(1000)
    expect(saver.state()).toMatchObject({ isKept: false, status: 'saved' })
    expect(server.sequence).toBe(1)
  })

  it('leaves nothing behind once the draft is a label', async () => {
    const { local, server, saver } = setUp()
    saver.changed(snapshot(1))
    await vi.advanceTimersByTimeAsync(1000)
    const forgotten = saver.forget()
    await vi.advanceTimersByTimeAsync(10)
    await forgotten
    expect(local.kept.size).toBe(0)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(server.received).toEqual([1])
  })

  it('sends what is left when the item is closed', async () => {
    const { server, saver } = setUp()
    saver.changed(snapshot(1))
    const closed = saver.close()
    await vi.advanceTimersByTimeAsync(100)
    await closed
    expect(server.received).toEqual([1])
  })

  it('loses nothing under random failures: what is acknowledged last is what was drawn last', async () => {
    let seed = 7
    const random = () => {
      seed = (seed * 1664525 + 1013904223) % 4294967296
      return seed / 4294967296
    }
    const { server, saver } = setUp({
      send: async (draft) => {
        await sleep(random() * 900)
        const dice = random()
        if (dice < 0.3) throw offline()
        if (dice < 0.4) throw new ServerError(503, 'busy')
        if (draft.sequence > server.sequence) {
          server.sequence = draft.sequence
          server.draft = draft
        }
        if (dice < 0.5) throw offline() // kept, but the acknowledgement is lost
      },
    })
    for (let i = 1; i <= 100; i++) {
      saver.changed(snapshot(i))
      await vi.advanceTimersByTimeAsync(random() * 1500)
      expect(saver.state().acknowledged).toBeLessThanOrEqual(server.sequence)
    }
    await vi.advanceTimersByTimeAsync(300_000)
    expect(saver.state()).toMatchObject({ status: 'saved', sequence: 100, acknowledged: 100 })
    expect(server.draft?.png).toEqual(Uint8Array.of(100))
  })
})
