/**
 * What a scenario says: the people, their lines and habits, what goes wrong, and which variants are compared side by side.
 *
 * Every key with meaning, unit, default, range and reason stands in `config/scenarios/defaults/vod.json5` and `live.json5`; here are the shapes.
 */
import type { PickStrategy } from '../vod/transfer/transfer-parameters.js';
import type { TopologyName } from './topology.js';

/** Low and high; each draws its own between them. */
export type Span = readonly [number, number];

export interface NetworkModel {
  /** `none`: each pair of hosts draws its own latency from `latencyMs`. */
  readonly topology: TopologyName | 'none';
  readonly latencyMs: Span;
  readonly jitterMs: number;
  readonly lossRatio: number;
}

/** 0 turns a fault off. */
export interface Faults {
  /** Mean time that somebody stays who leaves early; exponential. */
  readonly meanStayS: number;
  /** Of those who leave: their machine falls silent instead of closing its connections. */
  readonly crashRatio: number;
  readonly freeRiderRatio: number;
  readonly polluterRatio: number;
  /** Claim to hold everything, and refuse it when asked. */
  readonly liarRatio: number;
  readonly freezeRatio: number;
  readonly freezeAtS: number;
  readonly freezeForS: number;
  readonly crashAtS: number;
  readonly crashAtRatio: number;
  readonly partitionAtS: number;
  readonly partitionForS: number;
  readonly partitionRatio: number;
}

/** Of live channels alone: viewers who leave for a while, again and again. */
export interface LiveFaults extends Faults {
  /** So often a viewer considers to leave; */
  readonly departEveryS: Span;
  /** and this is the chance that it does. */
  readonly departChance: number;
  readonly returnAfterS: Span;
}

interface CommonScenario<Fault extends Faults = Faults> {
  /** One sentence. */
  readonly about: string;
  readonly seed: number;
  readonly durationS: number;
  readonly network: NetworkModel;
  readonly faults: Fault;
  /** By name: dotted keys and what they are in this variant. */
  readonly variants: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export interface VodScenario extends CommonScenario {
  readonly kind: 'vod';
  readonly title: { readonly count: number; readonly durationS: number; readonly bitsPerSecond: number; readonly pieceBytes: number };
  readonly sources: { readonly count: number; readonly upBitsPerSecond: number; readonly isFaulty: boolean };
  readonly viewers: {
    readonly count: number;
    readonly arrival: 'poisson' | 'flash' | 'together';
    readonly arrivalS: number;
    readonly upBitsPerSecond: Span;
    readonly downBitsPerSecond: Span;
    /** Shoal's own limit, as a part of the line; 0: none. */
    readonly upLimitRatio: number;
    readonly neighbours: number;
    readonly leavesAfterS: number;
    /** They take and give nothing, all in one /24. */
    readonly greedyCount: number;
  };
  readonly player: {
    readonly plays: boolean;
    readonly startBufferMs: number;
    readonly readAheadMs: number;
    readonly startsAt: 'beginning' | 'random';
    readonly seekEveryS: number;
    readonly seekTo: 'uniform' | 'hot-scenes' | 'skip';
    readonly switchAfterS: number;
  };
  readonly policy: { readonly strategy: PickStrategy; readonly caching: 'single-task' | 'multi-task' | 'multi-task-with-control' };
}

export interface LiveScenario extends CommonScenario<LiveFaults> {
  readonly kind: 'live';
  readonly channel: { readonly bitsPerSecond: number; readonly keyIntervalMs: number };
  /** Upload by bit rate; 0: no limit. */
  readonly publisher: { readonly upRatio: number };
  readonly viewers: {
    readonly count: number;
    readonly arrivalS: number;
    readonly neighbours: number;
    /** Only so many are linked to the publisher. */
    readonly publisherNeighbours: number;
    /** Upload by bit rate; 0: no limit. */
    readonly upRatio: number;
    /** Of their lines; 0: no limit. */
    readonly upBitsPerSecond: Span;
    readonly downBitsPerSecond: Span;
    /** So many of them have an uplink of `weakUpBitsPerSecond` instead. */
    readonly weakRatio: number;
    readonly weakUpBitsPerSecond: Span;
    /** Shoal's own limit, as a part of the uplink; 0: none beside `upRatio`. */
    readonly upLimitRatio: number;
    readonly warmUpS: number;
    /** New viewers take the places of those who leave. */
    readonly areReplaced: boolean;
    /** Join one by one after the warm-up. */
    readonly lateJoinerCount: number;
    readonly lateJoinEveryS: number;
  };
  readonly player: { readonly bufferMs: number };
  /** Options of the exchange (`live.*` of the configuration) that differ from those in force. */
  readonly exchange: Readonly<Record<string, number | 'all'>>;
}

export type Scenario = VodScenario | LiveScenario;
