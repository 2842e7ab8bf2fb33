// What every page needs: the server, the project, who is here, and a way to say something.

import { createContext, useContext } from 'react'
import type { ProjectInfo, Session } from '../api'
import type { Codec } from '../editor/codec'
import type { Client } from './client'
import type { LocalDrafts } from './saver/local'

export interface Notice {
  text: string
  tone?: 'plain' | 'bad'
  action?: { label: string; run(): void }
}

export interface AppContext {
  client: Client
  codec: Codec
  drafts: LocalDrafts
  project: ProjectInfo
  session: Session
  notify(notice: Notice): void
  /** Say an error; a lost session leads to the sign-in instead. */
  report(error: unknown): void
}

export const Context = createContext<AppContext | null>(null)

export function useApp(): AppContext {
  const app = useContext(Context)
  if (!app) throw new Error('useApp: outside of the app')
  return app
}
