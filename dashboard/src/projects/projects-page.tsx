import { useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Plus, Search } from "lucide-react";
import { useRef, useState } from "react";
import { isFound } from "../agents/find.ts";
import { useListAndPane } from "../agents/list-and-pane.ts";
import { pages } from "../api/client.ts";
import { problemOf } from "../api/problem.ts";
import { Button } from "../parts/button.tsx";
import { Empty } from "../parts/empty.tsx";
import { Failure } from "../parts/failure.tsx";
import { Header } from "../parts/header.tsx";
import { Loading } from "../parts/loading.tsx";
import { usePhone } from "../parts/phone.ts";
import { Split } from "../parts/split.tsx";
import { TextField } from "../parts/text-field.tsx";
import { Toolbar } from "../parts/toolbar.tsx";
import { OpenProjects } from "./open-projects.tsx";
import { ProjectAdd } from "./project-add.tsx";
import { ProjectPane } from "./project-pane.tsx";
import { ProjectTable } from "./project-table.tsx";
import "./projects.css";

/** The repositories that agents work on, how each stands, and how work is done there. */
export function ProjectsPage() {
  const { project: opened } = useSearch({ from: "/projects" });
  const navigate = useNavigate({ from: "/projects" });
  const phone = usePhone();
  const [adding, setAdding] = useState(false);
  const [typed, setTyped] = useState("");
  const field = useRef<HTMLInputElement>(null);
  const query = useInfiniteQuery(pages("project.list", { limit: 500 }));
  const all = query.data?.pages.flatMap((page) => page.items) ?? [];
  const projects = all.filter(({ id, name, source, baseBranch, settings }) =>
    isFound(typed, [id, name, source, baseBranch, settings.sandbox === "none" ? "no sandbox" : "sandbox"]),
  );
  const open = (project: string | undefined): void =>
    void navigate({ search: (now) => ({ ...now, project }), replace: opened !== undefined && project !== undefined });
  const { list, pane } = useListAndPane({
    open: opened !== undefined,
    onOpen: open,
    onClose: () => open(undefined),
    onCreate: () => setAdding(true),
    onFind: () => field.current?.focus(),
  });
  const first = (
    <div ref={list} className="beside">
      <OpenProjects projects={all} onOpen={open} />
      <Toolbar label="Filter">
        <TextField
          ref={field}
          label="Find projects"
          labelHidden
          icon={Search}
          keys="/"
          placeholder="Find: name, folder"
          value={typed}
          onChange={setTyped}
        />
      </Toolbar>
      {query.error && !query.data ? (
        <Failure error={problemOf(query.error)} retry={() => void query.refetch()} />
      ) : !query.data ? (
        <Loading label="Loading the projects" lines={6} />
      ) : (
        <ProjectTable
          projects={projects}
          selected={opened ?? null}
          onOpen={open}
          beside={opened !== undefined && !phone}
          empty={
            all.length > 0 ? (
              <Empty
                kind="filtered"
                title="No project is like that"
                text={`What you typed hides all ${all.length}${query.hasNextPage ? " that are loaded" : ""}.`}
                action={<Button onClick={() => setTyped("")}>Show all</Button>}
              />
            ) : (
              <Empty
                kind="first"
                title="No project yet"
                text="A project is a folder with a git repository, and how agents work on it: in clones of their own, never in the folder."
                action={<Button onClick={() => setAdding(true)}>Add a project</Button>}
                cli="tutti projects add ."
              />
            )
          }
          end={
            query.hasNextPage ? (
              <Button kind="quiet" busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
                Load more
              </Button>
            ) : undefined
          }
        />
      )}
    </div>
  );
  return (
    <div className="page">
      <Header
        title="Projects"
        beside={
          query.data && (
            <span className="t3 num">
              {all.length}
              {query.hasNextPage ? "+" : ""}
            </span>
          )
        }
        actions={
          <Button kind="primary" icon={Plus} keys="c" onClick={() => setAdding(true)}>
            Add project
          </Button>
        }
      />
      <Split
        name="projects"
        sized="second"
        width={460}
        max={760}
        label="Width of the project's details"
        first={first}
        second={
          opened === undefined ? null : (
            <ProjectPane
              key={opened}
              id={opened}
              card={all.find(({ id }) => id === opened) ?? null}
              pane={pane}
              onClose={() => open(undefined)}
            />
          )
        }
      />
      {adding && (
        <ProjectAdd
          onClose={() => setAdding(false)}
          onAdded={(id) => {
            setAdding(false);
            open(id);
          }}
        />
      )}
    </div>
  );
}
