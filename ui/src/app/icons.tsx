import type { ReactNode } from 'react'

const PATHS = {
  brush: (
    <>
      <path d="M18.5 3.5 9.8 12.200l2.5 2.5 8.7-8.700a1.77 1.77 0 0 0-2.5-2.500Z" />
      <path d="M9 13.500c-2 0-3.5 1.4-3.7 3.3-.1 1.4-.9 2.2-2.3 2.7 1 .9 2.3 1.3 3.9 1.3 2.7 0 4.6-1.7 4.6-4.3" />
    </>
  ),
  eraser: (
    <>
      <path d="m7.5 19.5-4-4a2 2 0 0 1 0-2.800l8.9-8.900a2 2 0 0 1 2.8 0l4.9 4.900a2 2 0 0 1 0 2.800l-8 8Z" />
      <path d="m8 8.5 7.5 7.500M7.5 19.500H21" />
    </>
  ),
  polygon: (
    <>
      <path d="m5.5 8 6-4 7.5 4.5-2 9-9 1Z" />
      <g fill="currentColor" stroke="none">
        <circle cx="5.5" cy="8" r="1.7" />
        <circle cx="11.5" cy="4" r="1.7" />
        <circle cx="19" cy="8.5" r="1.7" />
        <circle cx="17" cy="17.5" r="1.7" />
        <circle cx="8" cy="18.5" r="1.7" />
      </g>
    </>
  ),
  fill: (
    <>
      <path d="m11 3.5 7.5 7.5-6.8 6.800a2 2 0 0 1-2.8 0l-4.7-4.700a2 2 0 0 1 0-2.800Z" />
      <path d="M3.7 11.500h14.300M20.5 15.500c1 1.4 1.5 2.4 1.5 3.200a1.6 1.6 0 0 1-3.2 0c0-.8.6-1.8 1.7-3.200Z" />
    </>
  ),
  undo: <path d="M8.5 4.5 4 9l4.5 4.500M4 9h10a6 6 0 0 1 0 12h-3" />,
  redo: <path d="M15.5 4.5 20 9l-4.5 4.500M20 9H10a6 6 0 0 0 0 12h3" />,
  zoomIn: (
    <path d="M10.5 18a7.5 7.5 0 1 0 0-15 7.5 7.5 0 0 0 0 15ZM16 16l5 5M10.5 7.500v6M7.5 10.500h6" />
  ),
  zoomOut: <path d="M10.5 18a7.5 7.5 0 1 0 0-15 7.5 7.5 0 0 0 0 15ZM16 16l5 5M7.5 10.500h6" />,
  fit: (
    <path d="M4 9V5a1 1 0 0 1 1-1h4M15 4h4a1 1 0 0 1 1 1v4M20 15v4a1 1 0 0 1-1 1h-4M9 20H5a1 1 0 0 1-1-1v-4" />
  ),
  eye: (
    <>
      <path d="M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12Z" />
      <circle cx="12" cy="12" r="3" />
    </>
  ),
  eyeOff: (
    <path d="M4 4l16 16M9.9 6a8.8 8.8 0 0 1 2.1-.3c6 0 9.5 6.3 9.5 6.300a17 17 0 0 1-2.7 3.500M6 7.700A16.5 16.5 0 0 0 2.5 12S6 18.3 12 18.300c1.5 0 2.9-.4 4-.9M10 10a3 3 0 0 0 4 4" />
  ),
  check: <path d="m4.5 12.5 5 5 10-11" />,
  skip: <path d="m5 5 8 7-8 7ZM18.5 5v14" />,
  flag: <path d="M5 21V4M5 4.500c4-2 7 2 11 .5l3-1v9.500l-3 1c-4 1.5-7-2.5-11-.5" />,
  comment: (
    <path d="M4 5.500h16a.5.5 0 0 1 .5.5v10a.5.5 0 0 1-.5.5h-8.500L7 20.500v-4H4a.5.5 0 0 1-.5-.5V6a.5.5 0 0 1 .5-.5Z" />
  ),
  help: (
    <>
      <circle cx="12" cy="12" r="9" />
      <path d="M9.2 9.300a2.9 2.9 0 1 1 4.3 2.600c-1 .6-1.5 1.1-1.5 2.300M12 17.200v.1" />
    </>
  ),
  sun: (
    <>
      <circle cx="12" cy="12" r="4" />
      <path d="M12 2.500v2M12 19.500v2M2.5 12h2M19.5 12h2M5.3 5.300l1.4 1.400M17.3 17.300l1.4 1.400M18.7 5.300l-1.4 1.400M6.7 17.300l-1.4 1.4" />
    </>
  ),
  moon: <path d="M20 14.500A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.500Z" />,
  system: (
    <path d="M4 4.500h16a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1v-10a1 1 0 0 1 1-1ZM9 20h6M12 16.500V20" />
  ),
  signOut: <path d="M10 4H5.500a1 1 0 0 0-1 1v14a1 1 0 0 0 1 1H10M15 8l4 4-4 4M19 12H9" />,
  close: <path d="m6 6 12 12M18 6 6 18" />,
  warn: <path d="M12 4 2.8 20h18.400ZM12 10v4.500M12 17.200v.1" />,
  cloud: <path d="M7 18.500a4.5 4.5 0 0 1-.6-8.960A6 6 0 0 1 18 11a3.8 3.8 0 0 1-.5 7.500Z" />,
  cloudOff: (
    <path d="M3.5 3.500l17 17M6.4 9.540A4.5 4.5 0 0 0 7 18.500h10.300M9.5 6.100A6 6 0 0 1 18 11a3.7 3.7 0 0 1 2.6 5.8" />
  ),
  layers: <path d="m12 3.5 9 5-9 5-9-5ZM4 13l8 4.5 8-4.500M4 16.500l8 4.5 8-4.5" />,
  play: <path d="m7 4.5 12 7.5-12 7.500Z" />,
  stop: <path d="M6.5 6.500h11v11h-11Z" />,
  wand: <path d="m4 20 11-11M13.5 7.500l3 3M17 3v3M15.5 4.500h3M20 11v2M19 12h2M9 4v2M8 5h2" />,
  arrowUp: <path d="m6 14.5 6-6 6 6" />,
  arrowDown: <path d="m6 9.5 6 6 6-6" />,
} satisfies Record<string, ReactNode>

export type IconName = keyof typeof PATHS

export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg
      className="icon"
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.7"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      {PATHS[name]}
    </svg>
  )
}

export function Logo() {
  return (
    <svg width="20" height="20" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="7" className="logo-ground" />
      <path
        d="M8 20c0-6 4-12 9-12 4 0 7 2 7 6 0 3-3 3-4 5s0 5-4 5c-5 0-8-1-8-4z"
        className="logo-mask"
      />
      <circle cx="17.5" cy="13.5" r="2.5" className="logo-ground" />
    </svg>
  )
}
