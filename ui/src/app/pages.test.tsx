// @vitest-environment jsdom
import { cleanup, fireEvent, render, screen, waitFor, within } from '@testing-library/react'
import plotly from 'plotly.js-basic-dist-min'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Dashboard, Dispute, ProjectInfo, Queue, QueueItem, Session } from '../api'
import { localCodec } from '../editor/codec'
import type { Picture } from '../editor/png'
import { SHORTCUTS } from '../editor/shortcuts'
import { type Client, ServerError } from './client'
import { type AppContext, Context } from './context'
import { DashboardPage } from './Dashboard'
import { DisputesPage, overlay } from './Disputes'
import { showMinutes, showSeconds } from './format'
import { rowsOf } from './Help'
import { firstOpen, QueuePage } from './Queue'
import { linkTo, parseRoute } from './route'
import { SignIn } from './SignIn'

vi.mock('plotly.js-basic-dist-min', () => ({ default: { react: vi.fn(), purge: vi.fn() } }))

const session: Session = { user: 'me', role: 'owner', csrf: 'x', users: true }

const project = {
  name: 'heart',
  classes: [
    { number: 0, name: 'background', colour: '#808080', key: null },
    { number: 1, name: 'wall', colour: '#ff0000', key: '1' },
  ],
  background: 0,
  unknown: 255,
  channels: 1,
  bits: 8,
  is_volume: false,
  summary: { next: 'fewmasks next heart' },
} as unknown as ProjectInfo

const row = (item: string, change: Partial<QueueItem> = {}): QueueItem => ({
  item,
  order: 0,
  reason: 'drawn at random',
  audit: false,
  control: false,
  reading: 1,
  state: 'open',
  by: null,
  minutes: 3,
  ...change,
})

function show(page: React.ReactElement, client: Partial<Client>, change: Partial<AppContext> = {}) {
  const app = {
    client: client as Client,
    codec: localCodec,
    drafts: { get: async () => null, put: async () => {}, remove: async () => {} },
    project,
    session,
    notify: vi.fn(),
    report: vi.fn(),
    ...change,
  }
  render(<Context value={app}>{page}</Context>)
  return app
}

beforeEach(() => {
  vi.stubGlobal(
    'IntersectionObserver',
    class {
      observe() {}
      disconnect() {}
    },
  )
  vi.stubGlobal('matchMedia', () => ({
    matches: false,
    addEventListener() {},
    removeEventListener() {},
  }))
})
afterEach(() => {
  cleanup()
  vi.unstubAllGlobals()
  window.location.hash = ''
})

describe('queue', () => {
  const queue: Queue = {
    round: 2,
    strategy: 'clasp-pe',
    minutes_left: 75,
    items: [
      row('b', { order: 1, state: 'mine' }),
      row('a', { state: 'labelled', by: 'me' }),
      row('c/d 1', { order: 2, audit: true, state: 'taken', by: 'anna' }),
      row('e', { order: 3 }),
    ],
  }

  it('lists the round in its order, with who has what and what is left', async () => {
    show(<QueuePage />, { queue: async () => queue })
    const items = await screen.findAllByRole('listitem')
    expect(items.map((item) => within(item).getByRole('link').getAttribute('href'))).toEqual([
      '#/item/a',
      '#/item/b',
      '#/item/c%2Fd%201',
      '#/item/e',
    ])
    expect(screen.getByText('Taken by anna')).toBeTruthy()
    expect(screen.getByText('audit')).toBeTruthy()
    expect(screen.getByText(/about 1 h 15 min left/)).toBeTruthy()
    expect(screen.getByText('1 of 4 answered')).toBeTruthy()
  })

  it('goes on with what was started, and can show the open ones only', async () => {
    show(<QueuePage />, { queue: async () => queue })
    fireEvent.click(await screen.findByText('Go on'))
    expect(window.location.hash).toBe('#/item/b')
    fireEvent.click(screen.getByLabelText('Open only'))
    expect(screen.getAllByRole('listitem')).toHaveLength(2)
  })

  it('says what to do when nothing was asked yet', async () => {
    const none = { ...queue, round: null, items: [], minutes_left: 0 }
    show(<QueuePage />, { queue: async () => none })
    expect(await screen.findByText('Nothing to label yet')).toBeTruthy()
  })

  it('reports what went wrong', async () => {
    const error = new ServerError(0, 'the server does not answer')
    const app = show(<QueuePage />, { queue: () => Promise.reject(error) })
    expect(await screen.findByText('The server does not answer')).toBeTruthy()
    expect(app.report).toHaveBeenCalledWith(error)
  })

  it('opens own work first, then the order of the round', () => {
    expect(firstOpen(queue.items)?.item).toBe('b')
    expect(firstOpen([row('z', { order: 2 }), row('y', { order: 1 })])?.item).toBe('y')
    expect(firstOpen([row('z', { state: 'labelled' })])).toBeNull()
  })
})

describe('sign-in', () => {
  it('asks for name and password and says why it refuses', async () => {
    const onSession = vi.fn()
    const signIn = vi
      .fn()
      .mockRejectedValueOnce(new ServerError(401, 'name or password is wrong'))
      .mockResolvedValue(session)
    const client = { ready: async () => ({ users: true, name: 'heart' }), signIn }
    render(<SignIn client={client as unknown as Client} onSession={onSession} />)
    fireEvent.change(await screen.findByLabelText('Name'), { target: { value: 'me' } })
    fireEvent.change(screen.getByLabelText('Password'), { target: { value: 'secret' } })
    fireEvent.click(screen.getByRole('button', { name: 'Sign in' }))
    expect((await screen.findByRole('alert')).textContent).toContain('Name or password is wrong')
    expect(onSession).not.toHaveBeenCalled()
    fireEvent.click(screen.getByRole('button', { name: 'Sign in' }))
    await waitFor(() => expect(onSession).toHaveBeenCalledWith(session))
    expect(signIn).toHaveBeenLastCalledWith('me', 'secret')
  })

  it('points to the link where there are no users', async () => {
    const client = { ready: async () => ({ users: false, name: 'heart' }) }
    render(<SignIn client={client as unknown as Client} onSession={() => {}} />)
    expect(await screen.findByText('fewmasks serve')).toBeTruthy()
    expect(screen.queryByLabelText('Password')).toBeNull()
  })
})

describe('dashboard', () => {
  const found: Dashboard = {
    labels: { mask: 3, scribble: 1 },
    minutes: 12.5,
    curve: [
      { items: 2, minutes: 6, dice: 0.5, interval: null, hd95: null, per_class: { wall: 0.5 } },
      {
        items: 4,
        minutes: 12.5,
        dice: 0.62,
        interval: [0.5, 0.7],
        hd95: 4.25,
        per_class: { wall: 0.62 },
      },
    ],
    control: null,
    agreement: null,
    next: 'choose the next items to label: fewmasks next heart',
    stop: {
      sentence: 'the next 30 minutes are expected to bring +0.010 Dice',
      is_enough: false,
      gain: 0.01,
      low: 0.002,
      high: 0.03,
      minutes: 30,
    },
  }
  const idle = { state: 'none', lines: [] }
  const figure = { data: [{ y: [1] }], layout: { font: { family: 'x' }, yaxis: { range: [0, 1] } } }
  const figures = async (name: string) =>
    name === 'curve'
      ? { 'dice-minutes': figure, 'hd95-minutes': figure, trainings: 2 }
      : Promise.reject(new ServerError(404, 'not drawn yet'))

  it('shows the curve, the last scores and what they changed by', async () => {
    const client = { dashboard: async () => found, job: async () => idle, figures }
    show(<DashboardPage />, client as unknown as Client)
    expect(await screen.findByText('+0.120 since the last training')).toBeTruthy()
    expect(screen.getByText('3 masks, 1 scribble')).toBeTruthy()
    const chart = await screen.findByRole('img')
    expect(chart.getAttribute('aria-label')).toContain('Training 2 · 4 items, 13 min: 0.620')
    await waitFor(() => expect(plotly.react).toHaveBeenCalled())
    const [, data, layout] = vi.mocked(plotly.react).mock.lastCall!
    expect(data).toEqual(figure.data)
    expect(layout).toMatchObject({ yaxis: { range: [0, 1], title: { text: 'Dice (test set)' } } })
    expect(screen.getByText('0.500–0.700')).toBeTruthy()
    expect(screen.getByText('Choose the next items to label.')).toBeTruthy()
    expect(screen.getByText(/next 30 minutes are expected to bring/)).toBeTruthy()
    fireEvent.click(screen.getByText('Distance', { selector: 'button' }))
    expect(screen.getByRole('img').getAttribute('aria-label')).toContain('4.3')
  })

  it('says what the strategy taught against chance, without commands', async () => {
    const control: Dashboard['control'] = {
      strategy: { items: 16, mean: 0.61, low: 0.55, high: 0.67 },
      control: { items: 1, mean: 0.78, low: null, high: null },
      difference: null,
      said: ['the model had Dice 0.610', '3 pairs would say: fewmasks train heart --set x=3'],
    }
    const client = {
      dashboard: async () => ({ ...found, control }),
      job: async () => idle,
      figures,
    }
    show(<DashboardPage />, client as unknown as Client)
    expect(await screen.findByText('Does choosing pay?')).toBeTruthy()
    expect(screen.getByText('0.550–0.670')).toBeTruthy()
    expect(screen.getByText('3 pairs would say (setting query.compare).')).toBeTruthy()
  })

  it('shows where the picks lie and which test items went worst, as of their training', async () => {
    const item = (name: string, dice: number) => ({
      item: name,
      dice,
      truth: 'data:image/png,t',
      prediction: 'data:image/png,p',
    })
    const drawn = {
      curve: { 'dice-minutes': figure, trainings: 2 },
      map: { map: figure, by: 'thumbnail', share: 0.314, trainings: 1 },
      tests: { worst: [item('bad', 0.1)], best: [item('good', 0.9)], trainings: 2 },
    }
    const client = {
      dashboard: async () => found,
      job: async () => idle,
      figures: async (name: keyof typeof drawn) => drawn[name],
    }
    show(<DashboardPage />, client as unknown as Client)
    expect(await screen.findByText(/the plane shows 31/)).toBeTruthy()
    expect(screen.getByText('as of training 1')).toBeTruthy()
    expect(screen.getByAltText('Prediction for bad')).toBeTruthy()
    fireEvent.click(screen.getByText('Best'))
    expect(screen.getByAltText('Reference of good')).toBeTruthy()
    expect(screen.queryByAltText('Prediction for bad')).toBeNull()
  })

  it('says when the curve was not drawn yet', async () => {
    const client = {
      dashboard: async () => found,
      job: async () => idle,
      figures: () => Promise.reject(new ServerError(404, 'not drawn yet')),
    }
    show(<DashboardPage />, client as unknown as Client)
    expect(await screen.findByText(/drawn at the next training/)).toBeTruthy()
  })

  it('shows how far two people agree, and leads reviewers to their disputes', async () => {
    const agreement = { items: 4, waiting: 2, disputes: 1, per_class: { wall: 0.81 } }
    const client = {
      dashboard: async () => ({ ...found, agreement }),
      job: async () => idle,
      figures,
    }
    show(<DashboardPage />, client as unknown as Client)
    expect((await screen.findByText('Settle 1 dispute')).getAttribute('href')).toBe('#/disputes')
    expect(screen.getByText('0.810')).toBeTruthy()
    expect(screen.getByText('2 waiting')).toBeTruthy()
    cleanup()
    const annotator = { ...session, role: 'annotator' as const }
    show(<DashboardPage />, client as unknown as Client, { session: annotator })
    expect(await screen.findByText(/a reviewer or the owner decides/)).toBeTruthy()
  })

  it('stands a project without any training', async () => {
    const empty = { ...found, curve: [], stop: null }
    const client = { dashboard: async () => empty, job: async () => idle, figures }
    show(<DashboardPage />, client as unknown as Client)
    expect(await screen.findByText(/curve starts with the first training/)).toBeTruthy()
  })

  it('lets reviewers and owners train, and nobody else', async () => {
    const startJob = vi.fn(async () => ({ id: 1 }))
    const client = { dashboard: async () => found, job: async () => idle, figures, startJob }
    show(<DashboardPage />, client as unknown as Client)
    fireEvent.click(await screen.findByRole('button', { name: 'Train and ask again' }))
    await waitFor(() => expect(startJob).toHaveBeenCalledOnce())
    cleanup()
    const annotator = { ...session, role: 'annotator' as const }
    show(<DashboardPage />, client as unknown as Client, { session: annotator })
    expect(await screen.findByText(/reviewer or the owner/)).toBeTruthy()
    expect(screen.queryByRole('button', { name: 'Train and ask again' })).toBeNull()
  })
})

describe('disputes', () => {
  const dispute: Dispute = {
    item: 'a/b',
    lowest: 0.2,
    per_class: { wall: 0.2 },
    readings: [
      { by: 'ann', kind: 'mask', seconds: 60 },
      { by: 'bob', kind: 'scribble', seconds: 120 },
    ],
  }
  const pictures = {
    picture: () => Promise.reject(new DOMException('', 'AbortError')),
    reading: () => Promise.reject(new DOMException('', 'AbortError')),
  }

  it('lists both labels and sends the choice', async () => {
    const disputes = vi.fn().mockResolvedValueOnce([dispute]).mockResolvedValue([])
    const verdict = vi.fn(async () => new Response())
    show(<DisputesPage />, { disputes, verdict, ...pictures } as unknown as Client)
    expect(await screen.findByText('First: a mask by ann (1 min)')).toBeTruthy()
    fireEvent.click(screen.getByText('Take bob’s'))
    expect(await screen.findByText(/None: two people agree/)).toBeTruthy()
    expect(verdict).toHaveBeenCalledWith('a/b', 2)
  })

  it('leads to the item for a third label', async () => {
    show(<DisputesPage />, { disputes: async () => [dispute], ...pictures } as unknown as Client)
    fireEvent.click(await screen.findByText('Draw a third'))
    expect(window.location.hash).toBe('#/item/a%2Fb')
  })

  it('inks each pixel by what the two say of it', () => {
    const image = { height: 1, width: 4, pixels: new Uint8ClampedArray(16).fill(100) }
    const mask = (data: number[]) =>
      ({ height: 1, width: 2, data: Uint8Array.from(data) }) as unknown as Picture
    const seen = { image, masks: [mask([0, 1]), mask([0, 0])] as [Picture, Picture] }
    const found = overlay(seen, (a, b) => (a === b ? undefined : [200, 0, 0]))
    expect([...found.slice(4, 8)]).toEqual([100, 100, 100, 100])
    expect([...found.slice(8, 12)]).toEqual([150, 50, 50, 100])
    expect([...image.pixels]).toEqual(Array(16).fill(100))
  })
})

describe('small things', () => {
  it('keeps ids whole in the address', () => {
    const route = { page: 'item', id: 'a/b c#%?é' } as const
    expect(parseRoute(linkTo(route))).toEqual(route)
    expect(parseRoute('#/item/%')).toEqual({ page: 'queue' })
    expect(parseRoute('')).toEqual({ page: 'queue' })
  })

  it('writes times as people do', () => {
    expect([0, 0.4, 3.2, 60, 135].map(showMinutes)).toEqual([
      '0 min',
      '< 1 min',
      '3 min',
      '1 h',
      '2 h 15 min',
    ])
    expect([0, 65.9, 600].map(showSeconds)).toEqual(['0:00', '1:05', '10:00'])
  })

  it('shows every shortcut in the help, once', () => {
    const groups = [...new Set(SHORTCUTS.map(({ group }) => group))]
    const shown = groups.flatMap(rowsOf).reduce((sum, { more }) => sum + 1 + more.length, 0)
    expect(shown).toBe(SHORTCUTS.length)
  })
})
