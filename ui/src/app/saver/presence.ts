// Two tabs on one item: the newer one is told, and chooses which of them goes on.

interface Message {
  said: 'open' | 'here' | 'take'
  key: string
  tab: string
}

/** What a BroadcastChannel does, as far as it is needed. */
export interface Channel {
  postMessage(message: unknown): void
  onmessage: ((event: MessageEvent) => void) | null
  close(): void
}

export interface Presence {
  /** Go on here; the other tab stops. */
  take(): void
  close(): void
}

export interface PresenceEvents {
  /** Another tab has this item open. */
  onOther(): void
  /** Another tab goes on with it: this one must stop. */
  onTaken(): void
}

/** A name that no other tab has; `crypto.randomUUID` is there over HTTPS and on localhost only. */
const newName = () => crypto.getRandomValues(new Uint32Array(4)).join('-')

export function watchTabs(
  key: string,
  events: PresenceEvents,
  channel: Channel = new BroadcastChannel('fewmasks'),
  tab: string = newName(),
): Presence {
  const say = (said: Message['said']) => channel.postMessage({ said, key, tab } satisfies Message)
  channel.onmessage = ({ data }: MessageEvent<Message>) => {
    if (data.key !== key || data.tab === tab) return
    if (data.said === 'open') say('here')
    if (data.said === 'here') events.onOther()
    if (data.said === 'take') events.onTaken()
  }
  say('open')
  return {
    take: () => say('take'),
    close: () => channel.close(),
  }
}
