/** The media type of one event with its data (CloudEvents 1.0, JSON format, structured mode). */
export const CLOUD_EVENT = 'application/cloudevents+json';

const SOURCE = '/ridgewatch/hits';
const TYPE = 'ridgewatch.v1.hit';

/**
 * A hit as an event. The attributes name no person: receivers write them to their logs.
 * @param id - the same however often it is sent
 * @param time - when the search had its result; undefined: not known
 * @param data - the hit
 * @returns JSON
 */
export function cloudEvent(id: string, time: Date | undefined, data: unknown): string {
  const attributes = { specversion: '1.0', id, source: SOURCE, type: TYPE, datacontenttype: 'application/json' };
  return JSON.stringify({ ...attributes, ...(time && { time: time.toISOString() }), data });
}
