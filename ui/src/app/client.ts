// The server's answers as values or as one kind of error. Addresses are relative to the page.

import type {
  Answer,
  Answered,
  Comment,
  Dashboard,
  Dispute,
  ItemInfo,
  Job,
  Kind,
  Lease,
  ProjectInfo,
  Queue,
  Ready,
  Session,
} from '../api'

export const NO_ANSWER = 'the server does not answer'

/** A refusal of the server (its status and sentence), or no answer at all (status 0). */
export class ServerError extends Error {
  readonly status: number
  /** What a 409 says besides: the other's sequence, revision or name. */
  readonly facts: { sequence?: number; revision?: number; by?: string | null }

  constructor(status: number, message: string, facts: ServerError['facts'] = {}) {
    super(message)
    this.status = status
    this.facts = facts
  }

  /** Worth another try without anybody doing anything. */
  get isPassing(): boolean {
    return this.status === 0 || this.status >= 500 || this.status === 429 || this.status === 408
  }
}

export interface Draft {
  kind: Kind
  seconds: number
  sequence: number
  png: Uint8Array<ArrayBuffer>
}

export type Client = ReturnType<typeof makeClient>

const address = (id: string) => `api/items/${encodeURIComponent(id)}`

export function makeClient(get: typeof fetch = (...args) => fetch(...args)) {
  let csrf = ''

  const ask = async (path: string, init: RequestInit = {}): Promise<Response> => {
    const headers = new Headers(init.headers)
    if (init.method && init.method !== 'GET') headers.set('X-CSRF-Token', csrf)
    let response: Response
    try {
      response = await get(path, { credentials: 'same-origin', ...init, headers })
    } catch (error) {
      if (error instanceof DOMException && error.name === 'AbortError') throw error
      throw new ServerError(0, NO_ANSWER)
    }
    if (!response.ok) throw await refusal(response)
    return response
  }
  const json = async <T>(path: string, init?: RequestInit): Promise<T> =>
    (await ask(path, init)).json()
  const post = <T>(path: string, body: unknown): Promise<T> =>
    json(path, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'Content-Type': 'application/json' },
    })
  const keep = (session: Session) => {
    csrf = session.csrf
    return session
  }

  return {
    ready: () => json<Ready>('api/ready'),
    session: async () => keep(await json<Session>('api/session')),
    signIn: async (name: string, password: string) =>
      keep(await post<Session>('api/session', { name, password })),
    signOut: () => ask('api/session', { method: 'DELETE' }),
    project: () => json<ProjectInfo>('api/project'),
    queue: () => json<Queue>('api/queue'),
    item: (id: string) => json<ItemInfo>(address(id)),
    /** The bytes of one of an item's pictures. */
    picture: async (id: string, name: PictureName, signal?: AbortSignal) => {
      const response = await ask(`${address(id)}/${name}.png`, signal ? { signal } : {})
      return new Uint8Array(await response.arrayBuffer())
    },
    pictureAddress: (id: string, name: PictureName) => `${address(id)}/${name}.png`,
    lease: (item: string) => post<Lease>('api/leases', { item }),
    release: (id: string) =>
      ask(`api/leases/${encodeURIComponent(id)}`, { method: 'DELETE', keepalive: true }),
    saveDraft: (id: string, { sequence, kind, seconds, png }: Draft) =>
      json<{ sequence: number }>(
        `${address(id)}/draft?sequence=${sequence}&kind=${kind}&seconds=${seconds.toFixed(1)}`,
        { method: 'PUT', body: png, headers: { 'Content-Type': 'image/png' } },
      ),
    answer: (id: string, answer: Answer) => post<Answered>(`${address(id)}/answer`, answer),
    /** What the newest training drew. */
    figures: <T>(name: 'curve' | 'map' | 'tests') => json<T>(`api/figures/${name}.json`),
    disputes: () => json<Dispute[]>('api/disputes'),
    /** The bytes of one of two readings. */
    reading: async (id: string, which: 1 | 2, signal?: AbortSignal) => {
      const path = `${address(id)}/readings/${which}.png`
      return new Uint8Array(await (await ask(path, signal ? { signal } : {})).arrayBuffer())
    },
    verdict: (id: string, reading: 1 | 2) =>
      ask(`${address(id)}/verdict`, {
        method: 'POST',
        body: JSON.stringify({ reading }),
        headers: { 'Content-Type': 'application/json' },
      }),
    skip: (id: string, reason: string, flag: boolean) =>
      post<{ next: string | null }>(`${address(id)}/skip`, { reason, flag }),
    unskip: (id: string) => ask(`${address(id)}/skip`, { method: 'DELETE' }),
    comments: (id: string) => json<Comment[]>(`${address(id)}/comments`),
    comment: (id: string, text: string) => post<Comment>(`${address(id)}/comment`, { text }),
    /** A mask from a tool on the server: from what is drawn, or from the labelled slices around. */
    tool: async (id: string, name: ToolName, png?: Uint8Array<ArrayBuffer>) => {
      const init: RequestInit = { method: 'POST' }
      if (png) Object.assign(init, { body: png, headers: { 'Content-Type': 'image/png' } })
      const response = await ask(`${address(id)}/tools/${name}`, init)
      return new Uint8Array(await response.arrayBuffer())
    },
    startJob: () => post<{ id: number }>('api/jobs', {}),
    job: () => json<Job>('api/jobs/current'),
    cancelJob: () => json<Job>('api/jobs/current', { method: 'DELETE' }),
    jobEvents: 'api/jobs/events',
    dashboard: () => json<Dashboard>('api/dashboard'),
  }
}

export type PictureName = 'image' | 'label' | 'draft' | 'prediction' | 'uncertainty'
export type ToolName =
  | 'random-walker'
  | 'snap'
  | 'interpolate'
  | 'watershed'
  | 'watershed?dark=true'

async function refusal(response: Response): Promise<ServerError> {
  let said: unknown
  try {
    said = await response.json()
  } catch {
    said = null // a proxy's page, perhaps
  }
  const { detail, ...facts } = (said ?? {}) as { detail?: unknown }
  const text = typeof detail === 'string' ? detail : `the server answered ${response.status}`
  return new ServerError(response.status, text, facts)
}
