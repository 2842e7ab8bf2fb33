import { type FormEvent, useEffect, useState } from 'react'
import type { Ready, Session } from '../api'
import type { Client } from './client'
import { sentence } from './format'
import { Icon, Logo } from './icons'

interface Props {
  client: Client
  /** Over a page that is kept as it is: the session ended in the middle of work. */
  isAgain?: boolean
  onSession(session: Session): void
}

export function SignIn({ client, isAgain = false, onSession }: Props) {
  const [ready, setReady] = useState<Ready | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  const [isBusy, setBusy] = useState(false)

  useEffect(() => {
    client.ready().then(setReady, (error) => setProblem(sentence(error)))
  }, [client])

  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    setBusy(true)
    setProblem(null)
    try {
      onSession(await client.signIn(String(form.get('name')), String(form.get('password'))))
    } catch (error) {
      setProblem(sentence(error))
    } finally {
      setBusy(false)
    }
  }

  const again = async () => {
    try {
      onSession(await client.session())
    } catch (error) {
      setProblem(sentence(error))
    }
  }

  return (
    <main className={isAgain ? 'sign-in sign-in-over' : 'sign-in'}>
      <div className="card sign-in-card">
        <h1>
          <Logo /> fewmasks
        </h1>
        <p className="muted">
          {isAgain
            ? 'Your session has ended. What you drew is kept on this computer and goes on after sign-in.'
            : ready?.name
              ? `Label the images of “${ready.name}”.`
              : 'Label in the browser.'}
        </p>
        {ready && !ready.users ? (
          <div className="stack">
            <p>
              This project needs no password on its own computer. Open the link that{' '}
              <code>fewmasks serve</code> printed in the terminal; it works once.
            </p>
            <p className="muted">Link used up? Stop the server and start it again for a new one.</p>
            {isAgain && (
              <button type="button" className="button" onClick={again}>
                I opened the link in another tab
              </button>
            )}
          </div>
        ) : (
          <form className="stack" onSubmit={submit}>
            <label className="field">
              Name
              {/* biome-ignore lint/a11y/noAutofocus: the only thing to do on this page */}
              <input name="name" autoComplete="username" required autoFocus />
            </label>
            <label className="field">
              Password
              <input name="password" type="password" autoComplete="current-password" required />
            </label>
            <button type="submit" className="button button-main" disabled={isBusy}>
              {isBusy ? 'Signing in …' : 'Sign in'}
            </button>
          </form>
        )}
        {problem && (
          <p className="problem" role="alert">
            <Icon name="warn" size={16} /> {problem}
          </p>
        )}
      </div>
    </main>
  )
}
