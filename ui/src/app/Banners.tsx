// What stands above the image when something needs attention.

import { type ReactNode, useState } from 'react'
import { NO_ANSWER } from './client'
import { sentence, showTime } from './format'
import { Icon } from './icons'
import type { Question } from './useAnswers'
import type { WorkState } from './useWork'

interface BannersProps {
  working: WorkState
  question: Question | null
  onNo(): void
}

export function Banners({ working, question, onNo }: BannersProps) {
  const { work, save, tabs, obstacle, continueHere } = working
  const start = work?.opening.start
  const [isRead, setRead] = useState(false)
  return (
    <div className="banners" role="status">
      {question && (
        <Banner tone="ask" text={question.text}>
          <button type="button" className="button button-small" onClick={question.run}>
            {question.yes}
          </button>
          <button type="button" className="button button-small" onClick={onNo}>
            {question.no}
          </button>
        </Banner>
      )}
      {tabs === 'other' && (
        <Banner tone="warn" text="This item is open in another tab of yours.">
          <button type="button" className="button button-small" onClick={continueHere}>
            Go on here
          </button>
        </Banner>
      )}
      {tabs === 'taken' && (
        <Banner tone="warn" text="You went on with this item in another tab.">
          <button type="button" className="button button-small" onClick={reload}>
            Take it back
          </button>
        </Banner>
      )}
      {obstacle && <Banner tone="warn" text={`${obstacle} You can look, but not draw.`} />}
      {save?.status === 'conflict' && (
        <Banner tone="warn" text="A newer draft of yours was saved from elsewhere.">
          <button type="button" className="button button-small" onClick={reload}>
            Open the newer one
          </button>
          <button
            type="button"
            className="button button-small"
            onClick={() => work?.saver.keepMine()}
          >
            Keep this one
          </button>
        </Banner>
      )}
      {save?.status === 'taken' && (
        <Banner
          tone="warn"
          text={`${save.detail ?? 'Somebody else has this item now'}. Your draft is kept on this computer.`}
        />
      )}
      {save?.status === 'refused' && (
        <Banner tone="bad" text={`Not saved: ${save.detail}. Your draft is kept on this computer.`}>
          <button type="button" className="button button-small" onClick={() => work?.saver.retry()}>
            Try again
          </button>
        </Banner>
      )}
      {save?.status === 'offline' && (
        <Banner
          tone="warn"
          text={
            save.isKept
              ? save.detail === NO_ANSWER
                ? 'No connection. Go on drawing: it is kept on this computer and sent when the server is back.'
                : `${sentence(save.detail)}. Your draft is kept on this computer and sent again.`
              : 'No connection, and this browser keeps nothing: do not close the page.'
          }
        >
          <button type="button" className="button button-small" onClick={() => work?.saver.retry()}>
            Try now
          </button>
        </Banner>
      )}
      {!isRead && start?.from === 'local draft' && (
        <Banner
          tone="plain"
          text={`Your draft of ${showTime(start.unsent!.at)} was still on this computer and is open again.`}
        >
          <button type="button" className="link" onClick={() => setRead(true)}>
            Dismiss
          </button>
        </Banner>
      )}
      {!isRead && start?.from === 'server draft' && (
        <Banner tone="plain" text="Your draft is open again.">
          <button type="button" className="link" onClick={() => setRead(true)}>
            Dismiss
          </button>
        </Banner>
      )}
    </div>
  )
}

const reload = () => window.location.reload()

interface BannerProps {
  tone: 'plain' | 'ask' | 'warn' | 'bad'
  text: string
  children?: ReactNode
}

function Banner({ tone, text, children }: BannerProps) {
  return (
    <div className={`banner banner-${tone}`}>
      {(tone === 'warn' || tone === 'bad') && <Icon name="warn" size={16} />}
      <span>{text}</span>
      {children}
    </div>
  )
}
