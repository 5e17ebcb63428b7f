//! Tidegate: reads Kafka topics, maps each message to points, writes them to a time-series database,
//! and commits a record's offset only when its points are durable.
//!
//! ```text
//!  Kafka ──poll──▶ Record ──decode──▶ slots ──map──▶ Point ──process──▶ Point ──encode──▶ Batch ──write──▶ database
//!   ▲                 │                 │              │                  │                 │                 │
//!   │                 └──── Reject ◀────┴──────────────┴──────────────────┘                 └─ split, bisect ◀┤ refused
//!   │                          └──▶ dead-letter topic (confirmed)                                             │
//!   └──────────────── commit ◀── watermark: the ordered batches in flight ◀── durable ────────────────────────┘
//! ```
//!
//! The modules stand in the order of the flow. One [`worker`] (a thread) owns everything from poll to
//! batch, and the watermark; [`deliver`] writes batches on the runtime and answers to its worker.
#![deny(unsafe_code)]

pub mod config;
pub mod connector;
pub mod connectors;
pub mod reload;
pub mod worker;

pub mod kafka;
pub mod record;

pub mod decode;
pub mod path;
pub mod registry;

pub mod map;
pub mod point;
pub mod process;
pub mod series;

pub mod cardinality;
pub mod drift;
pub mod route;

pub mod batch;
pub mod encode;

pub mod deliver;
pub mod sink;

pub mod dead_letter;
pub mod watermark;

pub mod server;
pub mod telemetry;

// Around the flow: what proves it, repeats it, prepares it and shows it, and what several stages use.
pub mod alert;
pub mod audit;
pub mod backfill;
pub mod check;
pub mod cli;
pub mod demo;
mod excerpt;
mod files;
pub mod grafana;
mod hash;
pub mod import;
pub mod infer;
pub mod replay;
pub mod trial;
mod words;

#[cfg(any(test, fuzzing))]
pub mod fuzzing;
