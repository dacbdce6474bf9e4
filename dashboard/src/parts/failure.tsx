import type { ReactNode } from "react";
import { Button } from "./button.tsx";
import { CopyButton } from "./copy-button.tsx";
import { Notice } from "./notice.tsx";
import { Plain } from "./plain.tsx";

/** What is seen of an error that the server answered (`ErrorBody`), or of one that the browser met. */
export interface SeenError {
  message: string;
  why?: string | null;
  fix?: readonly string[];
}

interface FailureProps {
  error: SeenError;
  /** Tries again; without it the page does so by itself, and `action` says when. */
  retry?: () => void;
  action?: ReactNode;
}

/** Something could not be shown or done: what, why, and the first thing that mends it. */
export function Failure({ error, retry, action }: FailureProps) {
  return (
    <div role="alert">
      <Notice
        kind="fail"
        title={<Plain text={error.message} />}
        action={
          <>
            {action}
            {retry !== undefined && <Button onClick={retry}>Try again</Button>}
          </>
        }
      >
        <ErrorWords error={error} />
      </Notice>
    </div>
  );
}

/** Why, and what to do: also used by toasts. */
export function ErrorWords({ error }: { error: SeenError }) {
  const fix = error.fix ?? [];
  return (
    <>
      {error.why !== undefined && error.why !== null && (
        <span className="note__why">
          <Plain text={error.why} />
        </span>
      )}
      {fix.length > 0 && (
        <ul className="fixes">
          {fix.map((step) => (
            <li key={step}>
              <code>
                <Plain text={step} />
              </code>
              <CopyButton text={step} label="Copy the fix" />
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
