/**
 * What neighbours have asked of us and not got yet, served by smooth priority: weighted fair queueing in two stages.
 *
 * Address groups (a /24) share the uplink equally, weighted by the mean priority of those of their members that wait, so that many peers
 * of one network get together what one would (against the theft of seeders' bandwidth, peers.md B1.4); within a group members share by their own priority. Each stage
 * serves whoever has the least virtual time; serving costs bytes by weight. Within a bounded lead, what does most good goes first: what somebody
 * waits for, what nobody else could send, a piece that has been begun rather than one more: parts of pieces can neither be played nor passed on, and
 * a piece that goes to all at once reaches all late. Who comes back from a pause starts at the present, neither
 * punished nor with savings. Requests stay requests until they are served, so that a cancel or a choke can drop them (BEP 3).
 */
import type { Bytes, ConnectionId } from '../kernel/units.js';
import { PIECE_LENGTH_BYTES_MAX } from './metainfo.js';

/** Waiting requests of one neighbour; more are refused. Ordinary clients assume 250, libtorrent keeps up to 500 in flight. */
export const UPLOADS_PER_PEER_MAX = 512;
/** Keys of requests: offsets in the longest pieces, 2^21 pieces of them, fit a whole number. */
const OFFSET_SPAN: Bytes = PIECE_LENGTH_BYTES_MAX;

/** Of so many turns one goes by fairness alone. */
const FAIR_TURNS = 8;
/** Requests of a neighbour looked at. */
const PROBES = 4;
/** Pieces that are sent block after block before others get a turn: whole pieces can be played and passed on, parts cannot. */
const SENT_AT_ONCE = 3;
/** What somebody asks for can bring it so much more than others have had, by weight; more if somebody watches there, and most if the picture waits for it. */
const LEAD_BYTES = 65_536;
const LEAD_WATCHING_BYTES = 4_194_304;
const LEAD_AWAITED_BYTES = 16_777_216;
const AHEAD_RANK = 6;
/** Pieces remembered as begun. */
const BEGUN_MAX = 16;

export interface Upload {
  readonly peer: ConnectionId;
  readonly piece: number;
  readonly offsetBytes: Bytes;
  readonly lengthBytes: Bytes;
}

/** How an asker stands now. */
export interface UploadView {
  /** It can take another block. */
  isReady(peer: ConnectionId): boolean;
  /** Its weight, above 0. */
  weight(peer: ConnectionId): number;
  /** No other neighbour holds the piece, seeders left out. */
  isScarce(piece: number): boolean;
  /** Somebody watches the title there. */
  watches(peer: ConnectionId): boolean;
  /** Without it a picture stands still, or soon will. */
  waits(upload: Upload): boolean;
}

/** Somebody with requests waiting, or lately. */
interface Member {
  readonly peer: ConnectionId;
  readonly group: Group;
  readonly uploads: Map<number, Upload>;
  virtualTime: number;
}

/** Whose turn it is. */
interface Choice {
  readonly member: Member;
  readonly upload: Upload;
}

/** A piece that is being sent to somebody. */
interface Begun {
  readonly member: Member;
  readonly piece: number;
}

interface Group {
  readonly name: string;
  readonly members: Set<Member>;
  virtualTime: number;
  /** Virtual time of the member served last. */
  memberTime: number;
}

export class UploadQueue {
  readonly #members = new Map<ConnectionId, Member>();
  readonly #groups = new Map<string, Group>();
  #virtualTime = 0;
  /** The one served last comes last. */
  readonly #begun: Begun[] = [];
  #count = 0;
  #turn = 0;

  get count(): number {
    return this.#count;
  }

  countOf(peer: ConnectionId): number {
    return this.#members.get(peer)?.uploads.size ?? 0;
  }

  /** Whether this request waits already. */
  has(peer: ConnectionId, piece: number, offsetBytes: Bytes): boolean {
    return this.#members.get(peer)?.uploads.has(keyOf(piece, offsetBytes)) ?? false;
  }

  /** @returns false when too many of its requests wait. The same request again replaces the first. */
  add(upload: Upload, addressGroup: string): boolean {
    const member = this.#members.get(upload.peer) ?? this.#enter(upload.peer, addressGroup);
    const key = keyOf(upload.piece, upload.offsetBytes);
    if (member.uploads.has(key)) return member.uploads.set(key, upload) !== undefined;
    if (member.uploads.size >= UPLOADS_PER_PEER_MAX) return false;
    if (member.uploads.size === 0) this.#wake(member);
    member.uploads.set(key, upload);
    this.#count += 1;
    return true;
  }

  /** @returns whether it was waiting. */
  cancel(peer: ConnectionId, piece: number, offsetBytes: Bytes): boolean {
    const isGone = this.#members.get(peer)?.uploads.delete(keyOf(piece, offsetBytes)) ?? false;
    if (isGone) this.#count -= 1;
    return isGone;
  }

  /** Takes out all requests of a neighbour, in order; it is choked. */
  clear(peer: ConnectionId): readonly Upload[] {
    const member = this.#members.get(peer);
    if (member === undefined) return [];
    const uploads = [...member.uploads.values()];
    member.uploads.clear();
    this.#count -= uploads.length;
    return uploads;
  }

  /** The neighbour is gone. */
  dropPeer(peer: ConnectionId): void {
    const member = this.#members.get(peer);
    if (member === undefined) return;
    this.clear(peer);
    this.#members.delete(peer);
    for (let at = this.#begun.length - 1; at >= 0; at--) if (this.#begun[at]?.member === member) this.#begun.splice(at, 1);
    member.group.members.delete(member);
    if (member.group.members.size === 0) this.#groups.delete(member.group.name);
  }

  /** Removes and returns the next upload; undefined when nobody who waits can take one. */
  take(view: UploadView): Upload | undefined {
    if (this.#count === 0) return undefined;
    this.#turn = (this.#turn + 1) % FAIR_TURNS;
    const choice = this.#choose(view, this.#turn === 0);
    if (choice === undefined) return undefined;
    const { member, upload } = this.#begunBefore(choice, view) ?? choice;
    return this.#serve(member, upload, view);
  }

  /** The next block of a piece that has been begun lately, if it is no less awaited. */
  #begunBefore(choice: Choice, view: UploadView): Choice | undefined {
    for (let at = this.#begun.length - 1; at >= Math.max(0, this.#begun.length - SENT_AT_ONCE); at--) {
      const { member, piece } = this.#begun[at] as Begun;
      if (member.uploads.size === 0 || !view.isReady(member.peer)) continue;
      const upload = blockOf(member, piece);
      if (upload === undefined || member.group.virtualTime - choice.member.group.virtualTime > leadOf(upload, view)) continue;
      if (view.waits(upload) || !view.waits(choice.upload)) return { member, upload };
    }
    return undefined;
  }

  #choose(view: UploadView, byFairnessAlone: boolean): Choice | undefined {
    let best: Choice | undefined;
    let bestRank = Number.POSITIVE_INFINITY;
    const leastTime = this.#leastTime(view);
    if (leastTime !== Number.POSITIVE_INFINITY) this.#virtualTime = Math.max(this.#virtualTime, leastTime);
    for (const { members, virtualTime } of this.#groups.values()) {
      for (const member of members) {
        if (member.uploads.size === 0 || !view.isReady(member.peer)) continue;
        const [upload, rankAlone] = this.#preferred(member, view, byFairnessAlone);
        const rank = virtualTime - leastTime > leadOf(upload, view) ? rankAlone + AHEAD_RANK : rankAlone;
        if (best !== undefined && (rank > bestRank || (rank === bestRank && !isBefore(member, best.member)))) continue;
        best = { member, upload };
        bestRank = rank;
      }
    }
    return best;
  }

  /** How far the group is that has had least of those that can be served. */
  #leastTime(view: UploadView): number {
    let least = Number.POSITIVE_INFINITY;
    for (const { members, virtualTime } of this.#groups.values()) {
      if (virtualTime >= least) continue;
      for (const { uploads, peer } of members) if (uploads.size > 0 && view.isReady(peer)) least = virtualTime;
    }
    return least;
  }

  /** Of the member's oldest few requests the one that does the swarm most good, and how much: 0 is most. */
  #preferred({ uploads }: Member, view: UploadView, byFairnessAlone: boolean): readonly [Upload, number] {
    let best: Upload | undefined;
    let bestRank = Number.POSITIVE_INFINITY;
    let looked = 0;
    for (const upload of uploads.values()) {
      const rank = byFairnessAlone ? 0 : this.#rank(upload, view);
      if (rank < bestRank) {
        best = upload;
        bestRank = rank;
      }
      if (bestRank === 0 || ++looked >= PROBES) break;
    }
    return [best as Upload, bestRank];
  }

  /** What somebody waits for comes first. Then 0: nobody else could send the piece; 1: others could; 2: somebody else is being sent it, and can pass it on soon. */
  #rank(upload: Upload, view: UploadView): number {
    const { peer, piece } = upload;
    const isElsewhere = this.#begun.some((begun) => begun.piece === piece && begun.member.peer !== peer);
    if (view.waits(upload)) return isElsewhere ? 3 : view.isScarce(piece) ? 0 : 1;
    return isElsewhere ? 5 : view.isScarce(piece) ? 2 : 4;
  }

  #serve(member: Member, upload: Upload, view: UploadView): Upload {
    const { group } = member;
    member.uploads.delete(keyOf(upload.piece, upload.offsetBytes));
    this.#count -= 1;
    this.#note(member, upload.piece);
    group.memberTime = Math.max(group.memberTime, member.virtualTime);
    group.virtualTime += upload.lengthBytes / meanWeight(group, member, view);
    member.virtualTime += upload.lengthBytes / view.weight(member.peer);
    return upload;
  }

  #note(member: Member, piece: number): void {
    const at = this.#begun.findIndex((begun) => begun.member === member && begun.piece === piece);
    if (at >= 0 && at === this.#begun.length - 1) return;
    if (at >= 0) this.#begun.splice(at, 1);
    else if (this.#begun.length >= BEGUN_MAX) this.#begun.shift();
    this.#begun.push({ member, piece });
  }

  #enter(peer: ConnectionId, addressGroup: string): Member {
    const group = this.#groups.get(addressGroup) ?? {
      name: addressGroup,
      members: new Set(),
      virtualTime: this.#virtualTime,
      memberTime: 0,
    };
    this.#groups.set(addressGroup, group);
    const member: Member = { peer, group, uploads: new Map(), virtualTime: group.memberTime };
    group.members.add(member);
    this.#members.set(peer, member);
    return member;
  }

  /** Time does not stand still for who had nothing waiting. */
  #wake(member: Member): void {
    const { group } = member;
    const isGroupIdle = [...group.members].every(({ uploads }) => uploads.size === 0);
    if (isGroupIdle) group.virtualTime = Math.max(group.virtualTime, this.#virtualTime);
    member.virtualTime = Math.max(member.virtualTime, group.memberTime);
  }
}

/** Who has had least: of two groups first, then of two members. */
function isBefore(one: Member, other: Member): boolean {
  if (one.group !== other.group) return one.group.virtualTime < other.group.virtualTime;
  return one.virtualTime < other.virtualTime;
}

/** How much more than others somebody may get by what it asks for. */
function leadOf(upload: Upload, view: UploadView): Bytes {
  if (view.waits(upload)) return LEAD_AWAITED_BYTES;
  return view.watches(upload.peer) ? LEAD_WATCHING_BYTES : LEAD_BYTES;
}

/** A request for a block of this piece among the member's oldest few. */
function blockOf({ uploads }: Member, piece: number): Upload | undefined {
  let looked = 0;
  for (const upload of uploads.values()) {
    if (upload.piece === piece) return upload;
    if (++looked >= PROBES) return undefined;
  }
  return undefined;
}

/** Of those that wait; the one that is being served counts as waiting. */
function meanWeight(group: Group, served: Member, view: UploadView): number {
  if (group.members.size === 1) return view.weight(served.peer);
  let sum = 0;
  let count = 0;
  for (const member of group.members) {
    if (member.uploads.size === 0 && member !== served) continue;
    sum += view.weight(member.peer);
    count += 1;
  }
  return sum / count;
}

function keyOf(piece: number, offsetBytes: Bytes): number {
  return piece * OFFSET_SPAN + offsetBytes;
}
