/**
 * What an RTMP URL names on its server: the application, the stream, and the address of the application.
 *
 * The last part of the path, with the query, is the stream; what stands before it is the application, which may have two parts
 * (`rtmp://host/app/instance/name`). `rtmp://host/app?token=x/name` is understood too: some services hand out such addresses.
 */
import { Malformed } from '../kernel/errors.js';
import { hostAndPort, isSecure, RTMP_PORT, RTMPS_PORT, type SourceUrl } from './source-url.js';

export interface RtmpAddress {
  readonly app: string;
  /** With its query, which may hold a secret. */
  readonly name: string;
  /** The application's own URL, as `connect` wants it. */
  readonly tcUrl: string;
}

/** As written in the URL: names are not decoded, as other players do not decode them either. */
export function rtmpAddressOf(url: SourceUrl): RtmpAddress | Malformed {
  const [, app = '', name = ''] = partsOf(url.path);
  if (app === '' || name === '' || name.startsWith('?'))
    return new Malformed('The source URL names no stream; expected rtmp://host/application/name.');
  const { scheme } = url;
  const port = url.port ?? (isSecure(scheme) ? RTMPS_PORT : RTMP_PORT);
  return { app, name, tcUrl: `${scheme}://${hostAndPort({ ...url, port })}/${app}` };
}

function partsOf(path: string): readonly string[] {
  const queryInside = /^\/([^/?]+\?[^?]*?)\/([^/]+)$/.exec(path);
  return queryInside ?? /^\/([^?]*?)\/([^/?]+(?:\?.*)?)$/.exec(path) ?? [];
}
