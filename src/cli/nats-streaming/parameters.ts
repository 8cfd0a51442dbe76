/**
 * Every parameter of nats-streaming-server 0.25.6, its flags and its keys in a configuration file, and what becomes of it here:
 * it is honoured, ignored with a line that says why, or the start is refused. Source: the server's usage text and documentation.
 */

import { inGroup, nats, type Parameter, type Section, section, streaming } from './parameter.js'

const CHECKED = { ignored: 'leveret checks what it reads, always' }
const OWN_LOG = { ignored: "leveret's log needs no such setting" }
const NOTHING_SENT = { ignored: 'clients are served on the address that is given' }
const CLOSED = { ignored: 'the server leans on no NATS server of others' }
const MONITORING = { ignored: 'there are no monitoring pages yet; metrics are read from an embedded broker' }
const NO_CLUSTER = { ignored: 'it is for servers that are clustered' }
const NO_CONNECTIONS =
  'connections of NATS are not logged; -SD logs the clients of NATS Streaming and their subscriptions'
const NO_PROTOCOL = 'what clients of NATS send and get is not logged'
const NO_MESSAGES = 'single messages and acks of NATS Streaming are not logged'
const NO_SQL = { ignored: 'it is for the store SQL' }
const AUTHORISATION = {
  refused: 'nobody can be asked for a password yet, and a server open to all is not what you asked for',
}
const TLS = { refused: 'connections cannot be encrypted yet, and plain ones are not what you asked for' }
const ROUTES = {
  refused: 'servers cannot be joined by routes; alone it would be deaf to the others',
}

/** By its flag, or by a block `cluster` in a configuration file. */
export const CLUSTERED = streaming('clustered', 'bool', 'clustered', '', { refused: 'there is no clustering by Raft' })

export const PARAMETERS: readonly Parameter[] = [
  // Streaming.
  streaming(
    'clusterId',
    'string',
    'cid cluster_id',
    'id cid cluster_id',
    'the ID of the cluster, which clients have to name (default test-cluster)',
  ),
  streaming(
    'discoverPrefix',
    'string',
    '',
    'discover_prefix',
    'what the subject for connecting begins with (default _STAN.discover)',
  ),
  streaming(
    'store',
    'string',
    'st store',
    'st store store_type storetype',
    'where messages are kept: MEMORY or FILE (default MEMORY)',
  ),
  streaming('dir', 'string', 'dir', 'dir datastore', 'the folder of the store FILE, made if it is missing'),
  streaming(
    'heartbeatInterval',
    'duration',
    'hbi hb_interval',
    'hbi hb_interval server_to_client_hb_interval',
    'how often a client is asked whether it is there (default 30s)',
  ),
  streaming(
    'heartbeatTimeout',
    'duration',
    'hbt hb_timeout',
    'hbt hb_timeout server_to_client_hb_timeout',
    'how long its answer may take (default 10s)',
  ),
  streaming(
    'heartbeatFailures',
    'int',
    'hbf hb_fail_count',
    'hbf hb_fail_count server_to_client_hb_fail_count',
    'a client is closed after more failed heartbeats in a row than this (default 10)',
  ),
  streaming(
    'replaceDurable',
    'bool',
    'replace_durable',
    'replace_durable replace_durables replace_duplicate_durable replace_duplicate_durables',
    'who subscribes to a durable in use takes it over, and is not refused (default false)',
  ),
  streaming('encrypt', 'bool', 'encrypt', 'encrypt', 'encrypt the store FILE (default false)'),
  streaming('encryptionCipher', 'string', 'encryption_cipher', 'encryption_cipher', 'how: AES or CHACHA (default AES)'),
  streaming(
    'encryptionKey',
    'string',
    'encryption_key',
    'encryption_key',
    'with what; better in the variable NATS_STREAMING_ENCRYPTION_KEY, which others cannot see',
  ),
  streaming('streamingConfig', 'string', 'sc stan_config', '', 'a configuration file for streaming'),
  streaming(
    'signal',
    'string',
    'sl signal',
    '',
    'send stop, quit, reopen or reload to the server that runs, or as quit=PID to one of several',
  ),
  streaming('natsServer', 'string', 'ns nats_server', 'ns nats_server nats_server_url', {
    refused: 'leveret is the NATS server itself, and cannot be a client of another one yet',
  }),
  streaming('ftGroup', 'string', 'ft_group', 'ft_group ft_group_name', {
    refused: 'there is no fault tolerance by a shared store; one process owns a data directory',
  }),
  streaming('partitioning', 'bool', '', 'partitioning', { refused: 'channels cannot be shared out among servers' }),
  CLUSTERED,
  streaming('ioBatchSize', 'int', 'io_batch_size', '', { ignored: 'what arrives together is written together' }),
  streaming('ioSleepTime', 'int', 'io_sleep_time', '', { ignored: 'what arrives together is written together' }),
  streaming('credentials', 'string', '', 'credentials', CLOSED),
  streaming('username', 'string', '', 'username user', CLOSED),
  streaming('password', 'string', '', 'password pass', CLOSED),
  streaming('token', 'string', '', 'token', CLOSED),
  streaming('nkeySeedFile', 'string', '', 'nkey_seed_file', CLOSED),
  streaming('secure', 'bool', 'secure', 'secure', CLOSED),
  section('tls', 'tlsClientCert', 'string', 'tls_client_cert', 'client_cert', CLOSED),
  section('tls', 'tlsClientKey', 'string', 'tls_client_key', 'client_key', CLOSED),
  section('tls', 'tlsClientCa', 'string', 'tls_client_cacert', 'client_ca client_cacert', CLOSED),
  section('tls', 'tlsServerName', 'string', '', 'server_name server_hostname', CLOSED),
  section('tls', 'tlsSkipVerify', 'bool', '', 'skip_verify insecure', CLOSED),
  // Limits of the store.
  section(
    'limits',
    'maxChannels',
    'int',
    'mc max_channels',
    'mc max_channels maxchannels',
    'channels altogether (default 100)',
  ),
  section(
    'limits',
    'maxSubs',
    'int',
    'msu max_subs',
    'msu max_subs max_subscriptions maxsubscriptions',
    'subscriptions of a channel, offline durables included (default 1000)',
  ),
  section(
    'limits',
    'maxMsgs',
    'int',
    'mm max_msgs',
    'mm max_msgs maxmsgs max_count maxcount',
    'messages of a channel (default 1000000)',
  ),
  section(
    'limits',
    'maxBytes',
    'size',
    'mb max_bytes',
    'mb max_bytes maxbytes',
    'bytes of the messages of a channel (default 1024000000)',
  ),
  section('limits', 'maxAge', 'duration', 'ma max_age', 'ma max_age maxage', 'how long a message is kept (default 0s)'),
  section(
    'limits',
    'maxInactivity',
    'duration',
    'mi max_inactivity',
    'mi max_inactivity maxinactivity',
    'how long a channel is kept that nobody publishes or subscribes to (default 0s)',
  ),
  // The store FILE.
  section(
    'file',
    'fileSync',
    'bool',
    'file_sync',
    'sync do_sync sync_on_flush',
    'acknowledge a message when it is on the disk, and not when the system has it (default true)',
  ),
  section('file', 'fileCompactEnabled', 'bool', 'file_compact_enabled', 'compact compact_enabled', OWN_LOG),
  section('file', 'fileCompactFrag', 'int', 'file_compact_frag', 'compact_frag compact_fragmentation', OWN_LOG),
  section('file', 'fileCompactInterval', 'int', 'file_compact_interval', 'compact_interval', OWN_LOG),
  section('file', 'fileCompactMinSize', 'size', 'file_compact_min_size', 'compact_min_size', OWN_LOG),
  section('file', 'fileBufferSize', 'size', 'file_buffer_size', 'buffer_size', OWN_LOG),
  section(
    'file',
    'fileReadBufferSize',
    'size',
    'file_read_buffer_size',
    'file_read_buffer_size read_buffer_size',
    OWN_LOG,
  ),
  section('file', 'fileCrc', 'bool', 'file_crc', 'crc do_crc', CHECKED),
  section('file', 'fileCrcPoly', 'int', 'file_crc_poly', 'crc_poly', CHECKED),
  section('file', 'fileAutoSync', 'duration', 'file_auto_sync', 'file_auto_sync auto_sync', {
    ignored: 'with file_sync an acknowledged message is synced; without it the system writes when it likes',
  }),
  section(
    'file',
    'fileSliceMaxMsgs',
    'int',
    'file_slice_max_msgs',
    'slice_max_msgs slice_max_count slice_msgs slice_count',
    OWN_LOG,
  ),
  section(
    'file',
    'fileSliceMaxBytes',
    'size',
    'file_slice_max_bytes',
    'slice_max_bytes slice_max_size slice_bytes slice_size',
    OWN_LOG,
  ),
  section(
    'file',
    'fileSliceMaxAge',
    'duration',
    'file_slice_max_age',
    'slice_max_age slice_age slice_max_time slice_time_limit',
    OWN_LOG,
  ),
  section(
    'file',
    'fileSliceArchiveScript',
    'string',
    'file_slice_archive_script',
    'slice_archive_script slice_archive slice_script',
    {
      refused: 'what limits remove is not handed to a script; without it your archive would stay empty unnoticed',
    },
  ),
  section('file', 'fileFdsLimit', 'int', 'file_fds_limit', 'file_descriptors_limit fds_limit', OWN_LOG),
  section('file', 'fileParallelRecovery', 'int', 'file_parallel_recovery', 'parallel_recovery', OWN_LOG),
  section('file', 'fileTruncateBadEof', 'bool', 'file_truncate_bad_eof', '', {
    ignored: 'an unfinished last record is put aside at every start, and told',
  }),
  // The store SQL.
  section('sql', 'sqlDriver', 'string', 'sql_driver', 'driver', NO_SQL),
  section('sql', 'sqlSource', 'string', 'sql_source', 'source', NO_SQL),
  section('sql', 'sqlNoCaching', 'bool', 'sql_no_caching', 'no_caching', NO_SQL),
  section('sql', 'sqlMaxOpenConns', 'int', 'sql_max_open_conns', 'max_open_conns max_conns', NO_SQL),
  section('sql', 'sqlBulkInsertLimit', 'int', 'sql_bulk_insert_limit', 'bulk_insert_limit', NO_SQL),
  // Clustering: the block or the flag --clustered turn it on, and are refused; the rest says nothing by itself.
  section('cluster', 'clusterNodeId', 'string', 'cluster_node_id', 'node_id', NO_CLUSTER),
  section('cluster', 'clusterBootstrap', 'bool', 'cluster_bootstrap', 'bootstrap', NO_CLUSTER),
  section('cluster', 'clusterPeers', 'strings', 'cluster_peers', 'peers', NO_CLUSTER),
  section('cluster', 'clusterLogPath', 'string', 'cluster_log_path', 'log_path', NO_CLUSTER),
  section('cluster', 'clusterLogCacheSize', 'int', 'cluster_log_cache_size', 'log_cache_size', NO_CLUSTER),
  section('cluster', 'clusterLogSnapshots', 'int', 'cluster_log_snapshots', 'log_snapshots', NO_CLUSTER),
  section('cluster', 'clusterTrailingLogs', 'int', 'cluster_trailing_logs', 'trailing_logs', NO_CLUSTER),
  section('cluster', 'clusterSync', 'bool', 'cluster_sync', 'sync', NO_CLUSTER),
  section('cluster', 'clusterRaftLogging', 'bool', 'cluster_raft_logging', 'raft_logging', NO_CLUSTER),
  section(
    'cluster',
    'clusterAllowAddRemoveNode',
    'bool',
    'cluster_allow_add_remove_node',
    'allow_add_remove_node',
    NO_CLUSTER,
  ),
  section(
    'cluster',
    'clusterProceedOnRestoreFailure',
    'bool',
    'cluster_proceed_on_restore_failure',
    'proceed_on_restore_failure',
    NO_CLUSTER,
  ),
  // The NATS server.
  nats('host', 'string', 'a addr net', 'host net', 'the address to listen on (default 0.0.0.0)'),
  nats('port', 'int', 'p port', 'port', 'the port to listen on, -1 for any that is free (default 4222)'),
  nats('listen', 'string', '', 'listen', 'both as host:port; what `host` and `port` say counts more'),
  nats('serverName', 'string', 'n name server_name', 'server_name', { ignored: 'the server calls itself leveret' }),
  nats('config', 'string', 'c config', '', 'a configuration file, also for streaming unless that has one of its own'),
  nats('testConfig', 'bool', 't', '', 'look through flags and files, and end (default false)'),
  nats('pidFile', 'string', 'P pid', 'pid_file pidfile', 'write the ID of the process to this file'),
  nats(
    'portsFileDir',
    'string',
    'ports_file_dir',
    'ports_file_dir',
    'write the port that it listens on to a file in this folder',
  ),
  nats('maxControlLine', 'size', '', 'max_control_line', 'bytes of a protocol line (default 4KB)'),
  nats('maxPayload', 'size', '', 'max_payload', 'bytes of a message with its headers (default 1MB)'),
  nats('maxPending', 'size', '', 'max_pending', 'bytes that wait for a connection before it is closed (default 64MB)'),
  nats('maxConnections', 'int', '', 'max_connections max_conn', 'connections at once'),
  nats('maxSubscriptions', 'int', '', 'max_subscriptions max_subs', 'subscriptions of a connection (default 100000)'),
  nats(
    'pingInterval',
    'duration',
    '',
    'ping_interval',
    'how often a silent connection is asked whether it is there (default 2m)',
  ),
  nats('pingMax', 'int', '', 'ping_max', 'pings without an answer before it is closed (default 2)'),
  nats('writeDeadline', 'duration', '', 'write_deadline', 'how long a connection may take nothing (default 10s)'),
  nats('httpPort', 'int', 'm http_port', 'http_port monitor_port', MONITORING),
  nats('http', 'string', '', 'http', MONITORING),
  nats('httpsPort', 'int', 'ms https_port', 'https_port', MONITORING),
  nats('https', 'string', '', 'https', MONITORING),
  nats('clientAdvertise', 'string', 'client_advertise', 'client_advertise', NOTHING_SENT),
  nats('clusterAdvertise', 'string', 'cluster_advertise', '', NOTHING_SENT),
  nats('noAdvertise', 'bool', 'no_advertise', '', NOTHING_SENT),
  nats('clusterName', 'string', 'cluster_name', '', NO_CLUSTER),
  nats('connectRetries', 'int', 'connect_retries', '', NO_CLUSTER),
  nats('profile', 'int', 'profile', 'prof_port', { ignored: 'use what Node has for that: node --cpu-prof' }),
  nats('jetstream', 'bool', 'js jetstream', '', { ignored: 'there is no JetStream' }),
  nats('storeDir', 'string', 'sd store_dir', 'store_dir', { ignored: 'there is no JetStream' }),
  nats('routes', 'strings', 'routes', '', ROUTES),
  nats('clusterListen', 'string', 'cluster cluster_listen', '', ROUTES),
  nats('user', 'string', 'user', '', AUTHORISATION),
  nats('pass', 'string', 'pass', '', AUTHORISATION),
  nats('auth', 'string', 'auth', '', AUTHORISATION),
  nats('tls', 'bool', 'tls', '', TLS),
  nats('tlsVerify', 'bool', 'tlsverify', '', TLS),
  nats('tlsCert', 'string', 'tlscert', '', TLS),
  nats('tlsKey', 'string', 'tlskey', '', TLS),
  nats('tlsCa', 'string', 'tlscacert', '', TLS),
  ...inGroup('logging', [
    streaming(
      'stanDebug',
      'bool',
      'SD stan_debug',
      'sd stan_debug',
      'log clients, subscriptions and their ends, and the subjects of requests at the start (default false)',
    ),
    streaming('stanTrace', 'bool', 'SV stan_trace', 'sv stan_trace', { ignored: NO_MESSAGES }),
    streaming('stanDebugTrace', 'bool', 'SDV', '', {
      honoured: 'the same, and no trace (default false)',
      butIgnored: `-SV in it: ${NO_MESSAGES}`,
    }),
    nats('logFile', 'string', 'l log', 'log_file logfile', 'log to this file instead of standard error'),
    nats(
      'logTime',
      'bool',
      'T logtime',
      'logtime',
      'begin each line with the time; =false leaves it out (default true)',
    ),
    nats('logTimeUtc', 'bool', 'logtime_utc', 'logtime_utc', 'the time of UTC, not of here (default false)'),
    nats(
      'logSizeLimit',
      'size',
      'log_size_limit',
      'log_size_limit',
      'begin a new file after so many bytes; 0 is never (default 0)',
    ),
    nats('debug', 'bool', 'D debug', 'debug', { ignored: NO_CONNECTIONS }),
    nats('trace', 'bool', 'V trace', 'trace', { ignored: NO_PROTOCOL }),
    nats('debugTrace', 'bool', 'DV DVV VV', '', { ignored: `${NO_PROTOCOL}, and ${NO_CONNECTIONS}` }),
    nats('syslog', 'bool', 's syslog', 'syslog', { ignored: 'lines go to standard error, or to the log file' }),
    nats('remoteSyslog', 'string', 'r remote_syslog', 'remote_syslog', {
      ignored: 'lines go to standard error, or to the log file',
    }),
    nats('maxTracedMsgLen', 'int', 'max_traced_msg_len', 'max_traced_msg_len', {
      ignored: 'payloads are never logged',
    }),
    streaming('syslogName', 'string', 'syslog_name', 'syslog_name', { ignored: 'it is for Windows' }),
  ]),
  ...inGroup('common', [
    nats('help', 'bool', 'h help', '', 'show this text'),
    nats('helpTls', 'bool', 'help_tls', '', 'show it as well: connections cannot be encrypted yet'),
    nats('version', 'bool', 'v version', '', 'show the version'),
  ]),
]

/** Blocks of a configuration file for the NATS server that are not ignored, because they would be missed. */
export const REFUSED_BLOCKS: Readonly<Record<string, string>> = {
  authorization: AUTHORISATION.refused,
  accounts: AUTHORISATION.refused,
  operator: AUTHORISATION.refused,
  tls: TLS.refused,
  cluster: ROUTES.refused,
  gateway: ROUTES.refused,
  leafnodes: ROUTES.refused,
}

const BY_FLAG = new Map(PARAMETERS.flatMap((parameter) => parameter.flags.map((flag) => [flag, parameter] as const)))

/** Null when there is no such flag. Upper and lower case differ: `-SD` is not `-sd`. */
export function parameterOfFlag(flag: string): Parameter | null {
  return BY_FLAG.get(flag) ?? null
}

/** Null for keys that nobody knows. */
export function parameterOfKey(of: Section, key: string): Parameter | null {
  return PARAMETERS.find(({ section: its, keys }) => its === of && keys.includes(key.toLowerCase())) ?? null
}
