import { ClusterSession } from '../index';

export = ClusterSession;
