import type { ChannelOptions } from '@grpc/grpc-js';

/**
 * Options of every channel that templates go through: they go to the address that was named, and to no other.
 * Otherwise the library obeys `http_proxy` and its kin, and asks name servers for a configuration.
 */
export const DIRECT_CHANNEL: ChannelOptions = {
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
};
