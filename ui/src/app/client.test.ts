import { describe, expect, it } from 'vitest'
import { makeClient, ServerError } from './client'

interface Call {
  path: string
  method: string
  csrf: string | null
}

function serve(answers: Record<string, () => Response>) {
  const calls: Call[] = []
  const get = (async (path: string, init: RequestInit = {}) => {
    const method = init.method ?? 'GET'
    calls.push({ path, method, csrf: new Headers(init.headers).get('X-CSRF-Token') })
    const answer = answers[`${method} ${path}`]
    if (!answer) throw new TypeError('Failed to fetch')
    return answer()
  }) as typeof fetch
  return { client: makeClient(get), calls }
}

const json =
  (body: unknown, status = 200) =>
  () =>
    new Response(JSON.stringify(body), { status })
const session = { user: 'me', role: 'owner', csrf: 'secret', users: false }

describe('client', () => {
  it('sends the token of the session with what changes something, and only then', async () => {
    const { client, calls } = serve({
      'GET api/session': json(session),
      'GET api/queue': json({ items: [] }),
      'POST api/leases': json({ revision: 0 }),
    })
    await client.session()
    await client.queue()
    await client.lease('a')
    expect(calls.map(({ csrf }) => csrf)).toEqual([null, null, 'secret'])
  })

  it('sends ids as one segment, whatever is in them', async () => {
    const { client, calls } = serve({ 'GET api/items/p1%2FED%203%20%3F%23%25': json({}) })
    await client.item('p1/ED 3 ?#%')
    expect(calls[0].path).toBe('api/items/p1%2FED%203%20%3F%23%25')
  })

  it('turns refusals and silence into one kind of error', async () => {
    const { client } = serve({
      'POST api/leases': json({ detail: 'anna has it', by: 'anna' }, 409),
      'GET api/queue': () => new Response('<html>Bad gateway', { status: 502 }),
      'GET api/project': json({ detail: [{ msg: 'odd' }] }, 422),
    })
    const refused = await client.lease('a').catch((error) => error)
    expect(refused).toBeInstanceOf(ServerError)
    expect(refused).toMatchObject({ status: 409, message: 'anna has it', facts: { by: 'anna' } })
    expect(refused.isPassing).toBe(false)
    const broken = await client.queue().catch((error) => error)
    expect(broken).toMatchObject({ status: 502, isPassing: true })
    const silent = await client.job().catch((error) => error)
    expect(silent).toMatchObject({ status: 0, isPassing: true })
    expect((await client.project().catch((error) => error)).message).toContain('422')
  })
})
