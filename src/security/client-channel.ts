import type { ChannelOptions } from '@grpc/grpc-js';

/**
 * Options of every channel for templates: templates are sent only to the named address. By default the library obeys
 * `http_proxy` and similar variables, and asks name servers for a service configuration.
 */
export const DIRECT_CHANNEL: ChannelOptions = {
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
};
