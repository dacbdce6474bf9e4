import { Button } from "../parts/button.tsx";
import { Notice } from "../parts/notice.tsx";
import { Plain } from "../parts/plain.tsx";
import type { ProjectCard } from "./project-table.tsx";

const named = 3;

/** Where agents run without a sandbox: said on the page, whatever is open or filtered. */
export function OpenProjects({ projects, onOpen }: { projects: readonly ProjectCard[]; onOpen: (id: string) => void }) {
  const open = projects.filter(({ settings }) => settings.sandbox === "none");
  if (open.length === 0) return null;
  return (
    <Notice
      kind="warn"
      wide
      title="Agents run without a sandbox"
      action={open.slice(0, named).map(({ id, name }) => (
        <Button key={id} onClick={() => onOpen(id)}>
          <Plain text={name} />
        </Button>
      ))}
    >
      {open.length === 1 ? "in one project" : `in ${open.length} projects`}: they can read and change whatever the server's user can.
    </Notice>
  );
}
