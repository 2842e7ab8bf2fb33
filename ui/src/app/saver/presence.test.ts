import { afterEach, describe, expect, it, vi } from 'vitest'
import { type Channel, watchTabs } from './presence'

/** Channels that hear one another, at once. */
function makeAir() {
  const all: Channel[] = []
  return (): Channel => {
    const channel: Channel = {
      onmessage: null,
      postMessage: (data) => {
        for (const other of all) {
          if (other !== channel) other.onmessage?.({ data } as MessageEvent)
        }
      },
      close: () => all.splice(all.indexOf(channel), 1),
    }
    all.push(channel)
    return channel
  }
}

const makeEvents = () => ({ onOther: vi.fn(), onTaken: vi.fn() })

afterEach(() => {
  vi.unstubAllGlobals()
})

describe('two tabs', () => {
  it('tells the newer one only, and stops the older one on request', () => {
    const air = makeAir()
    const [old, young] = [makeEvents(), makeEvents()]
    watchTabs('a', old, air(), 'old')
    const presence = watchTabs('a', young, air(), 'young')
    expect(young.onOther).toHaveBeenCalledOnce()
    expect(old.onOther).not.toHaveBeenCalled()
    presence.take()
    expect(old.onTaken).toHaveBeenCalledOnce()
    expect(young.onTaken).not.toHaveBeenCalled()
  })

  it('leaves tabs on other items, and closed ones, alone', () => {
    const air = makeAir()
    const [first, second, third] = [makeEvents(), makeEvents(), makeEvents()]
    const open = watchTabs('a', first, air(), '1')
    watchTabs('b', second, air(), '2')
    expect(second.onOther).not.toHaveBeenCalled()
    open.close()
    watchTabs('a', third, air(), '3')
    expect(third.onOther).not.toHaveBeenCalled()
  })

  it('are told apart over plain HTTP, too', () => {
    const { crypto } = globalThis
    vi.stubGlobal('crypto', {
      getRandomValues: (given: Uint32Array<ArrayBuffer>) => crypto.getRandomValues(given),
    })
    const air = makeAir()
    const [old, young] = [makeEvents(), makeEvents()]
    watchTabs('a', old, air())
    watchTabs('a', young, air())
    expect(young.onOther).toHaveBeenCalledOnce()
    expect(old.onOther).not.toHaveBeenCalled()
  })
})
