import { startGateway } from '../support/gateway.js';
import { startNode } from '../support/node.js';
import { restSuite } from './rest-suite.js';

restSuite('REST by `oriel gateway`, over gRPC and HTTP to a node', async () => {
  const node = await startNode();
  try {
    const gateway = await startGateway([node]);
    return {
      url: gateway.url,
      async stop() {
        await gateway.stop();
        await node.stop();
      },
    };
  } catch (error) {
    await node.stop();
    throw error;
  }
});
