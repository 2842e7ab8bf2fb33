// What the server says and takes, word for word as in its contract; no behaviour.

export type Role = 'annotator' | 'reviewer' | 'owner'
export type Kind = 'mask' | 'scribble'

/** The class number of pixels that nobody has named, in every file and message. */
export const UNKNOWN = 255

export interface Session {
  user: string
  role: Role
  csrf: string
  users: boolean
}

/** Said before sign-in. */
export interface Ready {
  users: boolean
  name: string
}

export interface ClassInfo {
  number: number
  name: string
  colour: string
  key: string | null
}

export interface Summary {
  items: number
  train: { items: number; groups: number }
  test: { items: number; groups: number }
  labels: Record<Kind, number>
  audited: number
  skipped: number
  minutes: number
  rounds: number
  open_picks: number
  trainings: number
  scores: unknown
  notes?: string[]
  next: string
}

export interface ProjectInfo {
  name: string
  classes: ClassInfo[]
  background: number | null
  unknown: number
  channels: number
  bits: 8 | 16
  is_volume: boolean
  summary: Summary
}

export type QueueState = 'open' | 'mine' | 'taken' | 'labelled' | 'skipped'

export interface QueueItem {
  item: string
  order: number
  reason: string
  audit: boolean
  /** Drawn at random, beside the strategy's picks. */
  control: boolean
  /** 2 where a second answer is wanted of me. */
  reading: 1 | 2
  state: QueueState
  by: string | null
  minutes: number
}

export interface Queue {
  round: number | null
  strategy: string | null
  items: QueueItem[]
  minutes_left: number
}

export interface Lease {
  item: string
  until: string
  /** Of the label that holds; 0 where there is none. */
  revision: number
  /** The highest draft of mine that the server has acknowledged; 0 where there is none. */
  sequence: number
}

export interface LabelInfo {
  kind: Kind
  by: string
  revision: number
  seconds: number
}

export interface DraftInfo {
  sequence: number
  kind: Kind
  seconds: number
}

export interface ItemInfo {
  item: string
  group: string[]
  z: number
  height: number
  width: number
  channels: number
  bits: 8 | 16
  spacing: [number, number, number]
  /** In units of the PNG. */
  window: { low: number; high: number }
  /** What a value of the PNG means: value * slope + intercept. */
  scale: { slope: number; intercept: number }
  /** Neighbouring slices of the same file. */
  previous: string | null
  next: string | null
  prediction: boolean
  uncertainty: boolean
  label: LabelInfo | null
  draft: DraftInfo | null
  sequence: number
  reason: string | null
  split: string
  /** A test item that is labelled to score the model; no prediction is offered. */
  audit: boolean
  may_label: boolean
  /** 2 where a second answer is wanted of me, who sees nothing of the first. */
  reading: 1 | 2
  lease: { by: string; until: string } | null
  skipped: { reason: string; flagged: boolean; by: string } | null
}

export interface Answer {
  kind: Kind
  seconds: number
  sequence: number
  base: number | null
}

export interface Answered {
  revision: number
  next: string | null
}

export interface Comment {
  by: string
  text: string
  created: string
}

export type JobState = 'none' | 'running' | 'done' | 'failed' | 'cancelled'

export interface Job {
  id: number | null
  state: JobState
  what: string | null
  done: number | null
  of: number | null
  line: string | null
  lines: string[]
  by: string | null
  started: string | null
  ended: string | null
}

export interface CurvePoint {
  items: number
  minutes: number
  dice: number | null
  /** Of `dice`, 95 %, over test groups drawn anew; none of few groups. */
  interval: [number, number] | null
  hd95: number | null
  per_class: Record<string, number | null>
}

export interface Spread {
  mean: number | null
  low: number | null
  high: number | null
}

/** The strategy's picks against random ones. */
export interface Control {
  /** Dice of the model on picks before it learnt them. */
  strategy: Spread & { items: number }
  control: Spread & { items: number }
  /** Of what pairs of models learnt from the two. */
  difference: Spread | null
  said: string[]
}

/** Of two people, on the items that both labelled. */
export interface Agreement {
  items: number
  waiting: number
  disputes: number
  per_class: Record<string, number | null>
}

export interface Dispute {
  item: string
  readings: { by: string; kind: Kind; seconds: number }[]
  lowest: number
  per_class: Record<string, number | null>
}

export interface Dashboard {
  labels: Record<Kind, number> | number
  minutes: number
  curve: CurvePoint[]
  control: Control | null
  agreement: Agreement | null
  next: string
}
