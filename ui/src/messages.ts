// Written by `npm run types` from docs/openapi.json; do not edit by hand.

/** How far two people agree on the items that both read: Dice over the pixels both know. */
export interface Agreement {
  items: number
  waiting: number
  disputes: number
  per_class: {
    [k: string]: number | null
  }
}

/** That the drawing of this sequence is the label, seen `base` before. */
export interface Answer {
  kind: 'mask' | 'scribble'
  seconds: number
  sequence: number
  base?: number | null
}

/** One item of the round. */
export interface Asked {
  item: string
  order: number
  reason: string
  audit: boolean
  control: boolean
  reading: 1 | 2
  state: 'open' | 'mine' | 'taken' | 'labelled' | 'skipped'
  by: string | null
  minutes: number
}

/** A class: its number in masks, its colour, and the key that chooses it. */
export interface ClassView {
  number: number
  name: string
  colour: string
  key: string | null
}

/** A remark on an item. */
export interface Comment {
  text: string
}

/** A remark on an item, by whom and when. */
export interface CommentView {
  by: string
  text: string
  created: string
}

/** The strategy's picks against random ones, in numbers and in words. */
export interface Control {
  strategy: Foreseen
  control: Foreseen
  difference: Spread | null
  said: string[]
}

/** Dice of a model on picks before it learnt them. */
export interface Foreseen {
  mean: number | null
  low: number | null
  high: number | null
  items: number
}

/** A mean and its 95 % interval; none of a single value. */
export interface Spread {
  mean: number | null
  low: number | null
  high: number | null
}

/** How many labels there are of each kind. */
export interface Counts {
  mask: number
  scribble: number
}

/** The honest curve, and what to do next. */
export interface Dashboard {
  labels: Counts
  minutes: number
  curve: Point[]
  control: Control | null
  agreement: Agreement | null
  next: string
  stop: StopAdvice | null
}

/** One model: what it learnt from, what that cost, how good it is. */
export interface Point {
  items: number
  minutes: number
  dice: number | null
  interval: [number, number] | null
  hd95: number | null
  per_class: {
    [k: string]: number | null
  }
}

/** What more labelling is expected to bring; it stops nothing. */
export interface StopAdvice {
  sentence: string
  is_enough: boolean
  gain: number | null
  low: number | null
  high: number | null
  minutes: number | null
}

/** An item that two people read differently. */
export interface Dispute {
  item: string
  readings: ReadingView[]
  lowest: number
  per_class: {
    [k: string]: number | null
  }
}

/** One of two readings. */
export interface ReadingView {
  by: string
  kind: 'mask' | 'scribble'
  seconds: number
}

/** My drawing that was not handed in. */
export interface DraftView {
  sequence: number
  kind: 'mask' | 'scribble'
  seconds: number
}

/** An item, all but its pixels. */
export interface ItemView {
  item: string
  group: string[]
  z: number
  height: number
  width: number
  channels: 1 | 3
  bits: 8 | 16
  /**
   * @minItems 3
   * @maxItems 3
   */
  spacing: [number, number, number]
  window: Window
  scale: ScaleView
  previous: string | null
  next: string | null
  prediction: boolean
  uncertainty: boolean
  label: LabelView | null
  draft: DraftView | null
  sequence: number
  lease: LeaseView | null
  skipped: SkipView | null
  reason: string | null
  split: 'train' | 'test'
  audit: boolean
  may_label: boolean
  reading: 1 | 2
}

/** Levels of black and white. */
export interface Window {
  low: number
  high: number
}

/** Stored intensity = level of the PNG * slope + intercept. */
export interface ScaleView {
  slope: number
  intercept: number
}

/** The label that holds. */
export interface LabelView {
  kind: 'mask' | 'scribble'
  by: string
  revision: number
  seconds: number
}

/** Who is labelling it. */
export interface LeaseView {
  by: string
  until: string
}

/** That it is never asked for again, and why. */
export interface SkipView {
  reason: string
  flagged: boolean
  by: string | null
}

/** How far the job is, and its last lines. */
export interface JobView {
  id: number | null
  state: 'none' | 'running' | 'done' | 'failed' | 'cancelled'
  what: string | null
  done: number | null
  of: number | null
  line: string | null
  lines: string[]
  by: string | null
  started: string | null
  ended: string | null
}

/** The next item of the queue. */
export interface Next {
  next: string | null
}

/** Why a request was refused, in one sentence. */
export interface Problem {
  detail: string
}

/** What is labelled here. */
export interface ProjectView {
  name: string
  created: string | null
  classes: ClassView[]
  background: number | null
  unknown: number
  channels: 1 | 3
  bits: 8 | 16
  is_volume: boolean
  summary: {
    [k: string]: unknown
  }
}

/** The round. */
export interface Queue {
  round: number | null
  strategy: string | null
  items: Asked[]
  minutes_left: number
}

/** What the sign-in page has to know. */
export interface Ready {
  name: string
  users: boolean
}

/** The drawing that is on disk. */
export interface Saved {
  sequence: number
}

/** A name and a password. */
export interface SignIn {
  name: string
  password: string
}

/** Who is signed in, and what to send along with a change. */
export interface SignedIn {
  user: string
  role: 'annotator' | 'reviewer' | 'owner'
  csrf: string
  users: boolean
}

/** Why an item is never to be asked for again. */
export interface Skip {
  reason?: string
  flag?: boolean
}

/** How to ask again, after training. */
export interface StartJob {
  strategy?: string | null
  limit?: number | null
}

/** The number of a job. */
export interface Started {
  id: number
}

/** The number of the new label, and the next item of the queue. */
export interface Stored {
  revision: number
  next: string | null
}

/** The item that somebody wants to label. */
export interface Take {
  item: string
}

/** A lease: until when, over which label, and after which drawing. */
export interface Taken {
  item: string
  until: string
  revision: number
  sequence: number
}

/** Which of two readings holds. */
export interface Verdict {
  reading: 1 | 2
}
