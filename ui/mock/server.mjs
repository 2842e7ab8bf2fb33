// A small pretend server for work on the page without a project: `npm run mock`, then open the link.
// It keeps everything in memory, follows the contract of the API and knows no security.

import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { deflateSync, crc32 as zlibCrc } from 'node:zlib'

const PORT = Number(process.env.PORT ?? 8000)
const SIZE = Number(process.env.SIZE ?? 512)
const STATIC = fileURLToPath(new URL('../../src/fewmasks/server/static/', import.meta.url))
const CSP =
  "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; worker-src 'self' blob:"

// Pictures

function crc32(bytes) {
  if (zlibCrc) return zlibCrc(bytes)
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let k = 0; k < 8; k++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  }
  return (crc ^ 0xffffffff) >>> 0
}

function chunk(name, body) {
  const bytes = Buffer.alloc(12 + body.length)
  bytes.writeUInt32BE(body.length, 0)
  bytes.write(name, 4, 'latin1')
  body.copy(bytes, 8)
  bytes.writeUInt32BE(crc32(bytes.subarray(4, 8 + body.length)), 8 + body.length)
  return bytes
}

function grey(size, bits, valueAt) {
  const step = bits / 8
  const rows = Buffer.alloc(size * (size * step + 1))
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const at = y * (size * step + 1) + 1 + x * step
      if (bits === 16) rows.writeUInt16BE(valueAt(y, x), at)
      else rows[at] = valueAt(y, x)
    }
  }
  const header = Buffer.alloc(13)
  header.writeUInt32BE(size, 0)
  header.writeUInt32BE(size, 4)
  header[8] = bits
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows, { level: 1 })),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

const noise = (y, x, z) => {
  const s = Math.sin(y * 12.9898 + x * 78.233 + z * 37.719) * 43758.5453
  return s - Math.floor(s)
}

/** A heart seen along its axis: two chambers and a wall, in a chest. */
function classAt(y, x, z) {
  const [v, u] = [(y / SIZE) * 2 - 1, (x / SIZE) * 2 - 1]
  const wobble = 0.02 * Math.sin(3 * Math.atan2(v - 0.02, u - 0.18) + z)
  const grow = 1 - Math.abs(z - 4) * 0.07
  const left = Math.hypot(v - 0.02, u - 0.18)
  if (left < (0.2 + wobble) * grow) return 3
  if (left < (0.3 + wobble) * grow) return 2
  const right = Math.hypot((v + 0.02) * 1.1, (u + 0.24) * 0.8)
  return right < (0.27 + wobble) * grow ? 1 : 0
}

function intensityAt(y, x, z) {
  const [v, u] = [(y / SIZE) * 2 - 1, (x / SIZE) * 2 - 1]
  const chest = Math.hypot(v * 1.15, u)
  const tissue = [520, 1350, 700, 1420][classAt(y, x, z)]
  const lung = Math.hypot((v + 0.1) * 0.9, (Math.abs(u) - 0.62) * 1.5) < 0.33 ? 0.25 : 1
  const fat = chest > 0.86 && chest < 0.95 ? 2.4 : 1
  const body = chest < 0.95 ? tissue * lung * fat : 30
  const waves = 60 * Math.sin(v * 9 + z) * Math.cos(u * 7)
  return Math.max(
    0,
    Math.min(4095, Math.round(body + waves * (chest < 0.95) + 130 * noise(y, x, z))),
  )
}

const pictures = new Map()
const once = (key, make) => {
  if (!pictures.has(key)) pictures.set(key, make())
  return pictures.get(key)
}

// What the server knows

const classes = [
  { number: 0, name: 'background', colour: '#8a97a3', key: null },
  { number: 1, name: 'right ventricle', colour: '#4c9be8', key: '1' },
  { number: 2, name: 'myocardium', colour: '#f2b134', key: '2' },
  { number: 3, name: 'left ventricle', colour: '#e4572e', key: '3' },
]
const reasons = [
  'uncertainty higher than 97 % of the pool, mostly between myocardium and left ventricle; first from patient007',
  'effect on the model higher than 91 % of the pool, unlike the labelled items',
  'uncertainty higher than 88 % of the pool, mostly right ventricle',
  'drawn at random',
]
const items = Array.from({ length: 14 }, (_, i) => ({
  id: `patient${String(7 + (i % 5) * 3).padStart(3, '0')}/${i % 2 ? 'ES' : 'ED'} ${1 + (i % 8)}`,
  z: 1 + (i % 8),
  order: i,
  reason: reasons[i % reasons.length],
  audit: i === 6,
  control: i === 3,
  reading: i === 4 ? 2 : 1,
  state: i === 2 ? 'taken' : i === 11 ? 'labelled' : i === 12 ? 'skipped' : 'open',
  by: i === 2 ? 'anna' : i === 11 ? 'me' : null,
}))
const drafts = new Map()
const sequences = new Map()
const labels = new Map()
const comments = new Map([
  [
    items[0].id,
    [
      {
        by: 'anna',
        text: 'Is the papillary muscle part of the cavity here?',
        created: '2026-01-12T09:12:00Z',
      },
    ],
  ],
])
const curve = [
  [8, 31, 0.512, 14.2],
  [16, 58, 0.634, 10.6],
  [24, 82, 0.701, 8.1],
  [32, 110, 0.748, 6.9],
  [40, 133, 0.783, 5.2],
].map(([count, minutes, dice, hd95]) => ({
  items: count,
  minutes,
  dice,
  interval: [dice - 0.05, dice + 0.04],
  hd95,
  per_class: {
    'right ventricle': dice - 0.06,
    myocardium: dice - 0.02,
    'left ventricle': dice + 0.08,
  },
}))
let job = nothing()
let isSignedIn = process.env.SIGNED_OUT !== '1'
let timer

function nothing() {
  return {
    id: null,
    state: 'none',
    what: null,
    done: null,
    of: null,
    line: null,
    lines: [],
    by: null,
    started: null,
    ended: null,
  }
}

const find = (id) => items.find((item) => item.id === id)
const parse = (id) => {
  const [, group, phase, z] = /^(.*)\/(E[DS]) (\d+)$/.exec(id) ?? []
  return group ? { group, phase, z: Number(z) } : null
}

function describe(id) {
  const place = parse(id)
  if (!place) return null
  const { group, phase, z } = place
  const label = labels.get(id)
  const draft = drafts.get(id)
  const item = find(id)
  return {
    item: id,
    group: [group, phase],
    z,
    height: SIZE,
    width: SIZE,
    channels: 1,
    bits: 16,
    spacing: [8, 1.4, 1.4],
    window: { low: 40, high: 1700 },
    scale: { slope: 1, intercept: 0 },
    previous: z > 0 ? `${group}/${phase} ${z - 1}` : null,
    next: z < 9 ? `${group}/${phase} ${z + 1}` : null,
    prediction: !item?.audit,
    uncertainty: !item?.audit,
    label: label
      ? { kind: label.kind, by: 'me', revision: label.revision, seconds: label.seconds }
      : null,
    draft: draft ? { sequence: draft.sequence, kind: draft.kind, seconds: draft.seconds } : null,
    sequence: sequences.get(id) ?? 0,
    reason: item?.reason ?? null,
    split: item?.audit ? 'test' : 'train',
    audit: item?.audit ?? false,
    may_label: true,
    lease: null,
    skipped: null,
  }
}

const nextOpen = () => items.find(({ state }) => state === 'open' || state === 'mine')?.id ?? null

function startJob() {
  const steps = [
    ['training', 40],
    ['scoring the pool', 25],
    ['predictions of the chosen items', 10],
  ]
  job = {
    ...nothing(),
    id: 1,
    state: 'running',
    what: 'training',
    done: 0,
    of: 40,
    by: 'me',
    started: new Date().toISOString(),
    lines: ['training on 41 labels'],
  }
  let step = 0
  timer = setInterval(() => {
    job.done += 1
    if (job.done > job.of) {
      step += 1
      if (step === steps.length) {
        job = { ...job, state: 'done', done: job.of, ended: new Date().toISOString() }
        clearInterval(timer)
        return
      }
      ;[job.what, job.of] = steps[step]
      job.done = 0
      job.lines.push(job.what)
    }
  }, 250)
}

// The API

const read = async (request) => {
  const parts = []
  for await (const part of request) parts.push(part)
  return Buffer.concat(parts)
}

async function api(request, response, url) {
  const say = (status, body) => {
    response.writeHead(status, { 'Content-Type': 'application/json' })
    response.end(status === 204 ? undefined : JSON.stringify(body))
  }
  const show = (png) => {
    response.writeHead(200, { 'Content-Type': 'image/png', 'Cache-Control': 'private, no-cache' })
    response.end(png)
  }
  const path = url.pathname.slice('/api/'.length)
  const name = `${request.method} ${path}`
  const session = { user: 'me', role: 'owner', csrf: 'mock', users: true }
  if (name === 'GET ready') return say(200, { users: true, name: 'acdc' })
  if (name === 'POST session') {
    const { password } = JSON.parse(await read(request))
    if (password === 'wrong') return say(401, { detail: 'name or password is wrong' })
    isSignedIn = true
    return say(200, session)
  }
  if (!isSignedIn) return say(401, { detail: 'sign in first' })
  if (name === 'GET session') return say(200, session)
  if (name === 'DELETE session') {
    isSignedIn = false
    return say(204)
  }
  if (name === 'GET project') {
    return say(200, {
      name: 'acdc',
      created: '2026-01-31T09:00:00.000Z',
      classes,
      background: 0,
      unknown: 255,
      channels: 1,
      bits: 16,
      is_volume: true,
      summary: {
        items: 1902,
        labels: { mask: 33, scribble: 8 },
        minutes: 133,
        next: 'fewmasks next acdc',
      },
    })
  }
  if (name === 'GET queue') {
    const left = items.filter(({ state }) => state === 'open' || state === 'mine').length
    return say(200, {
      round: 6,
      strategy: 'clasp-pe',
      minutes_left: left * 2.9,
      items: items.map(({ id, ...item }) => ({ item: id, ...item, minutes: 2.9, z: undefined })),
    })
  }
  if (name === 'GET figures/curve.json') {
    const figure = (axis, score) => ({
      data: [{ x: curve.map((p) => p[axis]), y: curve.map((p) => p[score]), line: { width: 3 } }],
      layout: { height: 340, paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)' },
    })
    const pairs = ['dice', 'hd95'].flatMap((s) =>
      ['items', 'minutes'].map((a) => [`${s}-${a}`, figure(a, s)]),
    )
    return say(200, { ...Object.fromEntries(pairs), trainings: curve.length })
  }
  if (name === 'GET dashboard') {
    return say(200, {
      labels: { mask: 33, scribble: 8 },
      minutes: 133,
      curve,
      agreement: {
        items: 6,
        waiting: 1,
        disputes: 1,
        per_class: { 'right ventricle': 0.86, myocardium: 0.79, 'left ventricle': 0.93 },
      },
      control: {
        strategy: { items: 24, mean: 0.61, low: 0.55, high: 0.67 },
        control: { items: 6, mean: 0.74, low: 0.66, high: 0.82 },
        difference: { mean: 0.021, low: 0.004, high: 0.038 },
        said: [
          'before they were labelled, the model had Dice 0.610 on 24 picks of the strategy and 0.740 on 6 random ones: it asks for what the model knows less well',
          '6 labels of the strategy taught Dice 0.741, as many random ones 0.720: +0.021 (95 % +0.004 to +0.038 over 3 pairs of models), choosing pays',
        ],
      },
      next: `label the ${items.filter(({ state }) => state === 'open').length} chosen items`,
      stop: {
        sentence:
          'the next 30 minutes are expected to bring +0.012 Dice (95 % +0.004 to +0.021); ' +
          'predictions agree with those of the model before by 0.941',
        is_enough: false,
        gain: 0.012,
        low: 0.004,
        high: 0.021,
        minutes: 30,
      },
    })
  }
  if (name === 'GET jobs/current') return say(200, job)
  if (name === 'POST jobs') {
    startJob()
    return say(202, { id: 1 })
  }
  if (name === 'DELETE jobs/current') {
    clearInterval(timer)
    job = { ...job, state: 'cancelled' }
    return say(200, job)
  }
  if (name === 'GET jobs/events') {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' })
    const send = setInterval(() => {
      response.write(`data: ${JSON.stringify(job)}\n\n`)
      if (job.state !== 'running') response.end()
    }, 300)
    response.on('close', () => clearInterval(send))
    return
  }
  if (name === 'POST leases') {
    const { item: id } = JSON.parse(await read(request))
    const item = find(id)
    if (item?.state === 'taken') return say(409, { detail: 'anna is labelling it', by: 'anna' })
    if (item?.state === 'open') item.state = 'mine'
    return say(200, {
      item: id,
      until: new Date(Date.now() + 6e5).toISOString(),
      revision: labels.get(id)?.revision ?? 0,
      sequence: sequences.get(id) ?? 0,
    })
  }
  if (path.startsWith('leases/')) return say(204)

  const match =
    /^items\/(.+?)(?:\/((?:image|label|draft|prediction|uncertainty)\.png|draft|answer|skip|comments?|tools\/[a-z-]+))?$/.exec(
      path,
    )
  const id = match && decodeURIComponent(match[1])
  const info = id && describe(id)
  if (!info) return say(404, { detail: `${path}: there is no such item; reload the queue` })
  const item = find(id)
  const what = `${request.method} ${match[2] ?? ''}`
  if (what === 'GET ') return say(200, info)
  if (what === 'GET image.png') {
    return show(once(`image ${id}`, () => grey(SIZE, 16, (y, x) => intensityAt(y, x, info.z))))
  }
  if (what === 'GET prediction.png') {
    return show(
      once(`prediction ${id}`, () =>
        grey(SIZE, 8, (y, x) =>
          classAt(y + 9 * Math.sin(x / 19), x + 8 * Math.cos(y / 23), info.z),
        ),
      ),
    )
  }
  if (what === 'GET uncertainty.png') {
    return show(
      once(`uncertainty ${id}`, () =>
        grey(SIZE, 8, (y, x) => {
          const at = classAt(y, x, info.z)
          let other = 0
          for (const d of [4, 9, 14]) {
            for (const [v, u] of [
              [d, 0],
              [-d, 0],
              [0, d],
              [0, -d],
            ])
              other += classAt(y + v, x + u, info.z) !== at
          }
          return Math.min(255, other * 24)
        }),
      ),
    )
  }
  if (what === 'GET draft.png' && drafts.has(id)) return show(drafts.get(id).png)
  if (what === 'GET label.png' && labels.has(id)) return show(labels.get(id).png)
  if (what === 'PUT draft') {
    const png = await read(request)
    const sequence = Number(url.searchParams.get('sequence'))
    const known = sequences.get(id) ?? 0
    if (sequence < known || (sequence === known && !drafts.get(id)?.png.equals(png))) {
      return say(409, { detail: 'a newer draft is there', sequence: known })
    }
    sequences.set(id, sequence)
    drafts.set(id, {
      sequence,
      kind: url.searchParams.get('kind'),
      seconds: Number(url.searchParams.get('seconds')),
      png,
    })
    return say(200, { sequence })
  }
  if (what === 'POST answer') {
    const answer = JSON.parse(await read(request))
    const draft = drafts.get(id)
    if (draft?.sequence !== answer.sequence)
      return say(409, { detail: 'no such draft', sequence: draft?.sequence ?? 0 })
    const revision = (labels.get(id)?.revision ?? 0) + 1
    labels.set(id, { ...answer, revision, png: draft.png })
    drafts.delete(id)
    if (item) Object.assign(item, { state: 'labelled', by: 'me' })
    return say(200, { revision, next: nextOpen() })
  }
  if (what === 'POST skip') {
    if (item) Object.assign(item, { state: 'skipped', by: 'me' })
    return say(200, { next: nextOpen() })
  }
  if (what === 'DELETE skip') {
    if (item) Object.assign(item, { state: 'open', by: null })
    return say(204)
  }
  if (what === 'GET comments') return say(200, comments.get(id) ?? [])
  if (what === 'POST comment') {
    const { text } = JSON.parse(await read(request))
    const comment = { by: 'me', text, created: new Date().toISOString() }
    comments.set(id, [...(comments.get(id) ?? []), comment])
    return say(201, comment)
  }
  if (what.startsWith('POST tools/')) return show(grey(SIZE, 8, (y, x) => classAt(y, x, info.z)))
  return say(404, { detail: `${path}: there is none` })
}

const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
}

async function file(response, url) {
  const name = normalize(url.pathname).replace(/^\/+/, '') || 'index.html'
  const send = (bytes, type) => {
    response.writeHead(200, { 'Content-Type': type, 'Content-Security-Policy': CSP })
    response.end(bytes)
  }
  try {
    send(await readFile(join(STATIC, name)), TYPES[extname(name)] ?? 'application/octet-stream')
  } catch {
    send(await readFile(join(STATIC, 'index.html')), 'text/html')
  }
}

createServer((request, response) => {
  const url = new URL(request.url, `http://127.0.0.1:${PORT}`)
  const answer = url.pathname.startsWith('/api/')
    ? api(request, response, url)
    : file(response, url)
  answer.catch((error) => {
    response.writeHead(500)
    response.end(String(error))
  })
}).listen(PORT, '127.0.0.1', () => process.stdout.write(`http://127.0.0.1:${PORT}/\n`))
