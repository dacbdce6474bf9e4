import * as access from "./access/commands.ts";
import * as agents from "./agents/commands.ts";
import * as approvals from "./approvals/commands.ts";
import * as artifacts from "./artifacts/commands.ts";
import * as backups from "./backups/commands.ts";
import * as breakers from "./breakers/commands.ts";
import * as doctor from "./doctor/commands.ts";
import * as events from "./events/commands.ts";
import * as fleet from "./fleet/commands.ts";
import * as flows from "./flows/commands.ts";
import * as inbox from "./inbox/commands.ts";
import * as models from "./models/commands.ts";
import * as notifications from "./notifications/commands.ts";
import * as projects from "./projects/commands.ts";
import * as runners from "./runners/commands.ts";
import * as sessions from "./sessions/commands.ts";
import * as deadLetters from "./dead-letters/commands.ts";
import * as tasks from "./tasks/commands.ts";

/** The whole API on one page: HTTP, the command line and the typed client are made of this list. */
export const entries = [
  access.createToken,
  access.revokeTokenCommand,
  access.listTokensQuery,
  access.listAuditQuery,
  access.createLink,
  access.redeemLink,
  agents.createAgent,
  agents.updateAgent,
  agents.removeAgent,
  agents.listAgentsQuery,
  agents.getAgentQuery,
  agents.detectAgentQuery,
  agents.refreshAgents,
  approvals.listApprovalsQuery,
  approvals.getApprovalQuery,
  approvals.answerApproval,
  artifacts.getArtifact,
  artifacts.collectArtifactsCommand,
  backups.createBackup,
  backups.verifyBackupQuery,
  breakers.listBreakersQuery,
  breakers.resetBreaker,
  events.listEventsQuery,
  events.followEventsStream,
  fleet.getFleetQuery,
  fleet.listFleetSessionsQuery,
  flows.lintFlow,
  flows.createRun,
  flows.stopRun,
  flows.retryRun,
  flows.listRunsQuery,
  flows.getRunQuery,
  flows.listStepsQuery,
  inbox.listInboxQuery,
  inbox.markInbox,
  models.setProvider,
  models.removeProvider,
  models.listProvidersQuery,
  models.testProviderQuery,
  models.discoverProviders,
  notifications.setChannel,
  notifications.removeChannel,
  notifications.testChannel,
  notifications.listChannelsQuery,
  notifications.listDeliveriesQuery,
  doctor.serverDoctor,
  projects.createProject,
  projects.updateProject,
  projects.listProjectsQuery,
  projects.getProjectQuery,
  runners.createRunnerToken,
  runners.listRunnersQuery,
  sessions.listSessionsQuery,
  sessions.getSessionQuery,
  sessions.listTurnsQuery,
  sessions.readTranscript,
  sessions.sessionDiff,
  sessions.followSessionStream,
  sessions.followLiveStream,
  tasks.createTask,
  deadLetters.listDeadLetters,
  deadLetters.replayDeadLetters,
  tasks.mergeTask,
  tasks.stopTask,
  tasks.stopAll,
  tasks.retryTask,
  tasks.replyToTask,
  tasks.listTasksQuery,
  tasks.taskBoard,
  tasks.getTaskQuery,
  tasks.taskDiff,
] as const;
