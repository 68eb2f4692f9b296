import { startNode } from '../support/node.js';
import { restSuite } from './rest-suite.js';

restSuite('REST in front of the services of its own process', async () => {
  const node = await startNode();
  return { url: node.httpUrl, stop: () => node.stop() };
});
