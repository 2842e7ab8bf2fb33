import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import type { ProjectInfo, Session } from '../api'
import { makeCodec } from '../editor/codec'
import { actionOf, nameOf } from '../editor/shortcuts'
import { makeClient, ServerError } from './client'
import { type AppContext, Context, type Notice } from './context'
import { DashboardPage } from './Dashboard'
import { DisputesPage } from './Disputes'
import { sentence } from './format'
import { Help } from './Help'
import { Icon, Logo } from './icons'
import { LabelPage } from './Label'
import { nextTheme, prefer, preferences, usePreferences } from './preferences'
import { QueuePage } from './Queue'
import { goTo, linkTo, useRoute } from './route'
import { SignIn } from './SignIn'
import { openDrafts } from './saver/local'

const client = makeClient()
const drafts = openDrafts()
const NOTICE_TIME = 8000
const THEMES = { system: 'As the system', light: 'Light', dark: 'Dark' }

export function App() {
  const [session, setSession] = useState<Session | null>(null)
  const [project, setProject] = useState<ProjectInfo | null>(null)
  const [state, setState] = useState<'starting' | 'out' | 'in' | 'again'>('starting')
  const [problem, setProblem] = useState<string | null>(null)
  const [notice, setNotice] = useState<Notice | null>(null)
  const [isHelping, setHelping] = useState(false)
  const route = useRoute()
  const { theme } = usePreferences()
  const codec = useMemo(
    () =>
      makeCodec(
        new Worker(new URL('../editor/codec.worker.ts', import.meta.url), { type: 'module' }),
      ),
    [],
  )

  const notify = useCallback((next: Notice) => setNotice(next), [])
  const report = useCallback((error: unknown) => {
    if (error instanceof DOMException && error.name === 'AbortError') return
    if (error instanceof ServerError && error.status === 401) setState('again')
    else setNotice({ text: sentence(error), tone: 'bad' })
  }, [])

  const enter = useCallback(async (found: Session) => {
    setSession(found)
    const read = await client.project()
    // The same project again: what is open on the page stays open.
    setProject((known) => (known?.name === read.name ? known : read))
    setState('in')
    window.dispatchEvent(new Event('fewmasks:signed-in'))
  }, [])

  const start = useCallback(async () => {
    setProblem(null)
    try {
      await enter(await client.session())
    } catch (error) {
      if (error instanceof ServerError && error.status === 401) setState('out')
      else setProblem(sentence(error))
    }
  }, [enter])
  useEffect(() => {
    void start()
  }, [start])

  useEffect(() => {
    const root = document.documentElement
    if (theme === 'system') delete root.dataset.theme
    else root.dataset.theme = theme
  }, [theme])

  useEffect(() => {
    if (!notice) return
    const timer = setTimeout(() => setNotice(null), NOTICE_TIME)
    return () => clearTimeout(timer)
  }, [notice])

  const onKey = useRef<(event: KeyboardEvent) => void>(() => {})
  onKey.current = (event) => {
    if (event.defaultPrevented || state !== 'in' || isForText(event) || !mayAct(event)) return
    const action = actionOf(event)
    if (action === 'help') setHelping(true)
    else if (action === 'theme') prefer({ theme: nextTheme() })
    else if (action === 'queue') goTo({ page: 'queue' })
    else if (action === 'dashboard') goTo({ page: 'dashboard' })
    else return
    event.preventDefault()
  }
  useEffect(() => {
    const listener = (event: KeyboardEvent) => onKey.current(event)
    window.addEventListener('keydown', listener)
    return () => window.removeEventListener('keydown', listener)
  }, [])

  const signOut = async () => {
    try {
      await client.signOut()
    } catch (error) {
      report(error)
    }
    setSession(null)
    setState('out')
  }

  const app = useMemo<AppContext | null>(
    () => (session && project ? { client, codec, drafts, project, session, notify, report } : null),
    [codec, session, project, notify, report],
  )

  if (state === 'starting') {
    return (
      <main className="page">
        {problem ? (
          <div className="card empty">
            <p className="problem">{problem}</p>
            <button type="button" className="button" onClick={start}>
              Try again
            </button>
          </div>
        ) : (
          <p className="muted">Opening the project …</p>
        )}
      </main>
    )
  }
  if (state === 'out' || !app) return <SignIn client={client} onSession={enter} />

  const tabs = [
    { page: 'queue', text: 'Queue' },
    { page: 'dashboard', text: 'Progress' },
  ] as const
  return (
    <Context value={app}>
      <button type="button" className="skip-link" onClick={focusContent}>
        To the content
      </button>
      <header className="bar">
        <a className="brand" href={linkTo({ page: 'queue' })}>
          <Logo /> <span>fewmasks</span>
        </a>
        <span className="bar-project" title={app.project.name}>
          {app.project.name}
        </span>
        <nav aria-label="Pages">
          {tabs.map(({ page, text }) => (
            <a
              key={page}
              href={linkTo({ page })}
              aria-current={route.page === page ? 'page' : undefined}
            >
              {text}
            </a>
          ))}
        </nav>
        <span id="bar-slot" />
        <button
          type="button"
          className="icon-button"
          title={`Colours: ${THEMES[theme]} (T)`}
          aria-label={`Colours: ${THEMES[theme]}`}
          onClick={() => prefer({ theme: nextTheme() })}
        >
          <Icon name={theme === 'system' ? 'system' : theme === 'light' ? 'sun' : 'moon'} />
        </button>
        <button
          type="button"
          className="icon-button"
          title="Keys (?)"
          aria-label="Keys"
          onClick={() => setHelping(true)}
        >
          <Icon name="help" />
        </button>
        <span className="bar-user" title={app.session.role}>
          {app.session.user}
        </span>
        <button
          type="button"
          className="icon-button"
          title="Sign out"
          aria-label="Sign out"
          onClick={signOut}
        >
          <Icon name="signOut" />
        </button>
      </header>
      <div id="content" tabIndex={-1} inert={state === 'again'}>
        {route.page === 'queue' && <QueuePage />}
        {route.page === 'dashboard' && <DashboardPage />}
        {route.page === 'disputes' && <DisputesPage />}
        {route.page === 'item' && <LabelPage key={route.id} id={route.id} />}
      </div>
      {isHelping && <Help onClose={() => setHelping(false)} />}
      {state === 'again' && <SignIn client={client} isAgain onSession={enter} />}
      <div className="notices" aria-live="polite">
        {notice && (
          <div className={notice.tone === 'bad' ? 'notice notice-bad' : 'notice'}>
            <span>{notice.text}</span>
            {notice.action && (
              <button
                type="button"
                className="link"
                onClick={() => {
                  notice.action?.run()
                  setNotice(null)
                }}
              >
                {notice.action.label}
              </button>
            )}
            <button
              type="button"
              className="icon-button"
              aria-label="Dismiss"
              onClick={() => setNotice(null)}
            >
              <Icon name="close" size={14} />
            </button>
          </div>
        )}
      </div>
    </Context>
  )
}

/** Past the bar, for those who go by the keyboard. */
function focusContent() {
  document.getElementById('content')?.focus()
}

/** Somebody is typing, or a dialog is open. */
export function isForText(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement
  const isText =
    target.matches?.('textarea, select, input:not([type=range]):not([type=checkbox])') ?? false
  return isText || document.querySelector('dialog[open]') !== null
}

/** Single keys can be switched off; keys with a modifier, and named keys, always act. */
export function mayAct(event: KeyboardEvent): boolean {
  return preferences().singleKeys || nameOf(event).length > 1 || event.key === '?'
}
