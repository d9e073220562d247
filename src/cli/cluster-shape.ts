/** What `GET /v1/cluster` answers, as far as the commands read it (API.md). */

export interface ClusterMember {
  readonly id: string;
  readonly role: string;
  readonly voter: boolean;
  readonly clientUrl: string;
  readonly peerUrl: string;
  readonly reachable: boolean;
  readonly lastContactMs: number | null;
  readonly matchIndex: number | null;
  readonly appliedIndex: number | null;
  readonly version: string | null;
}

export interface Cluster {
  readonly clusterId: string;
  readonly member: string;
  readonly leader: string | null;
  readonly term: number;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly revision: number;
  readonly quorum: number;
  readonly failuresTolerated: number;
  readonly members: readonly ClusterMember[];
}

/** What a transfer of leadership came to. */
export interface Leadership {
  readonly leader: string;
  readonly term: number;
}
