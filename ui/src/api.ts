// What the server says and takes, by the names of the page; the types are made from its description.

import type {
  Asked,
  ClassView,
  CommentView,
  ItemView,
  JobView,
  LabelView,
  Point,
  ProjectView,
  SignedIn,
  Stored,
  Taken,
} from './messages'

export type { Agreement, Answer, Control, Dashboard, Dispute, Queue, Ready } from './messages'

export type Role = SignedIn['role']
export type Kind = LabelView['kind']
export type QueueState = Asked['state']
export type JobState = JobView['state']
export type Session = SignedIn
export type ClassInfo = ClassView
export type ProjectInfo = ProjectView
export type QueueItem = Asked
export type Lease = Taken
export type ItemInfo = ItemView
export type Answered = Stored
export type Comment = CommentView
export type Job = JobView
export type CurvePoint = Point

/** The class number of pixels that nobody has named, in every file and message. */
export const UNKNOWN = 255
